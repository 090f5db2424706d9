// Whether a record has room for what is to be added. What it has no room for
// waits in its place, durably, until there is room or somebody pays for it.
//
// What ends something the record knows is always taken, whatever waits beside
// it: else whoever fills their own record and buys once more keeps it all.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/record/record.h"
#include "core/source/source.h"

namespace entitle {

// What could open something waits once a record is this big: far more than
// anyone buys, and less than a reply may have, so that ends find room.
inline constexpr std::size_t kMaxRecordBytes = 3 << 20;
// The same, of what cost nothing: anybody can take it, in anybody's name.
inline constexpr std::size_t kMaxFreeBytes = 64 << 10;

enum class Room { enough, full, full_of_free };

struct Added {
  Room room = Room::enough;
  std::set<std::string> waiting{};  // ids of those not taken, or not whole
};

// Adds to `after`, which is as `before`, `share`, which is `place`'s, as far as
// there is room, and forgets what may be forgotten.
Added add_to(const Record& before, Record& after, const Sources& share,
             std::string_view place, UnixTime now);

// What the log says of a record. Null: there is room.
const char* full_of(Room room);

}  // namespace entitle
