// Whether a record has room for what an edit adds. What it has no room for
// waits in its place, durably, until there is room or somebody pays for it.
//
// What ends something is always taken.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/record/record.h"

namespace entitle {

// What could open something waits once a record is this big: far more than
// anyone buys, and less than a reply may have, so that ends find room.
inline constexpr std::size_t kMaxRecordBytes = 3 << 20;
// The same, of what cost nothing: anybody can take it, in anybody's name.
inline constexpr std::size_t kMaxFreeBytes = 64 << 10;

enum class Room { enough, full, full_of_free };

// `place` is whose sources the edit is about.
Room room_for(const Record& before, const Record& after,
              std::string_view place);

}  // namespace entitle
