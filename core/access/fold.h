// What a record may forget, so that it stays bounded.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/base/types.h"
#include "core/source/source.h"

namespace entitle {

inline constexpr std::size_t kMaxSources = 200;
inline constexpr Seconds kKeptAfterEnd = std::chrono::hours(24 * 400);

// Bounds a record: drops sources that ended over 400 days ago, then, above 200
// sources, those that ended, the longest ago first. Nothing that could be
// effective under any policy goes, nor a refund or dispute of what stays.
// Returns how many went.
std::size_t fold(Sources& sources, UnixTime now);

}  // namespace entitle
