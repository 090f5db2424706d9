// A user's record as it stands in Redis: what the user's purchases are known
// by, and which places their facts came from. docs/redis.md is the public
// description; this is its code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/redis/reply.h"
#include "core/source/source.h"

namespace entitle {

struct PlaceMark {  // field place:<id> of a record
  std::int64_t epoch = 0;
  bool live = false;      // gone: its facts were moved elsewhere at this epoch
  std::string more = {};  // a later version's: what follows, kept
  bool operator==(const PlaceMark&) const = default;

  void set(std::int64_t new_epoch, bool is_live) {
    epoch = new_epoch;
    live = is_live;
  }
  std::string encode() const;  // "3 live", "3 gone"
  static std::optional<PlaceMark> decode(std::string_view text);
};

struct Record {
  // Marks kept; of more, those of the least epochs are dropped.
  static constexpr std::size_t kMaxMarks = 16;

  bool exists = false;
  std::int64_t version = 0;            // 0: no record yet
  std::optional<UnixTime> not_before;  // sessions and JWTs older are stale
  std::optional<UnixTime> updated;
  std::int64_t format = 0;  // see core/record/fields.h
  std::size_t bytes = 0;    // of all fields, as read
  Sources sources;
  std::map<std::string, PlaceMark, std::less<>> places;
  std::int64_t place_floor = 0;  // no mark that was dropped had a greater epoch

  // The latest epoch of a place that this record may have seen.
  std::int64_t seen_epoch(std::string_view place) const;
  // Drops what is too many, never the mark of `place`. Of a place without a
  // mark the floor is what may have been seen, so it fences like the mark did.
  void bound_marks(std::string_view place);

  // From HGETALL's reply. Null: it cannot be read (wrong type, corrupt).
  // Unknown fields are left alone: they are somebody else's.
  static std::optional<Record> decode(const Reply& hgetall);
};

}  // namespace entitle
