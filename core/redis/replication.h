// How far a replica knows what its primary has acknowledged, by what both say
// in INFO replication.
//
// The primary says where its history is at; a replica that has applied as much
// of the same history has seen everything that was acknowledged before the
// primary was asked. So it may be read as if it were the primary, a lease ago
// at the latest, until a lease after that moment.
// Source: redis 7.0 src/server.c (genRedisInfoString), src/replication.c.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/monotonic.h"

namespace entitle {

struct Replication {
  bool primary = false;
  bool linked = false;      // of a replica: to its primary, and synchronised
  std::string history;      // master_replid
  std::int64_t offset = 0;  // in it: written, or, by a replica, applied
};
// Null: not an answer to INFO replication.
std::optional<Replication> parse_replication(std::string_view info);

// What the primary said lately.
class PrimaryMarks {
 public:
  // It says this: whoever has as much may be read until `until`, a lease after
  // it was asked. In the order it was asked.
  void note(const Replication& primary, MonoTime until);

  // Until when a replica that says this may be read; null: it is not of this
  // primary, or too far behind. Marks that ended before `now` count no more.
  std::optional<MonoTime> readable_until(const Replication& replica,
                                         MonoTime now);

 private:
  struct Mark {
    std::string history;
    std::int64_t offset;
    MonoTime until;
  };
  static constexpr std::size_t kMost = 16;
  std::deque<Mark> marks_;  // newest first
};

}  // namespace entitle
