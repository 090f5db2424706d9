// How many facts of a kind a source keeps. Part of the record's format: a
// decoder refuses more.
#pragma once

#include <cstddef>

namespace entitle {

inline constexpr std::size_t kMaxSnapshots = 8;
inline constexpr std::size_t kMaxSessionFacts = 4;
inline constexpr std::size_t kMaxRefunds = 32;
inline constexpr std::size_t kMaxDisputes = 16;
inline constexpr std::size_t kRecentSummaries = 8;
inline constexpr std::size_t kMaxSummaries = 256;

}  // namespace entitle
