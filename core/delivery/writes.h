// From what a record or place was to what it shall be, as Redis commands for
// inside MULTI. Only what differs is written, so that fields of others (the
// app's, a newer version's) stay as they are.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/record/keys.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/redis/reply.h"
#include "core/source/identifier.h"
#include "core/stripe/event.h"

namespace entitle {

// A place that is no customer's lives this long after its last event: longer
// than a dispute of its payment can take.
inline constexpr Seconds kPlaceLifetime = std::chrono::hours(24 * 540);

Command keep_place(const Keys& keys, std::string_view id);

// Empty when nothing differs.
std::vector<Command> place_commands(const Keys& keys, std::string_view id,
                                    const Place& before, const Place& after);

// Why a record is written, for its log.
struct RecordCause {
  const EventHead& event;
  std::string_view place;
  std::string_view outcome;  // "applied", ...; empty: not logged
  std::vector<Target> moved_from{};
  std::vector<Target> moved_to{};  // users, or one place
};

struct RecordWrite {
  std::vector<Command> commands;  // never empty: `updated` is always written
  std::size_t for_log = 0;        // so many of them, the last, are the log's
  std::vector<Identifier> before, after;  // effective identifiers
  std::int64_t version = 0;               // once written
};

// `after` differs from `before` in sources and places only. The version is made
// or raised here (docs/redis.md, "version").
RecordWrite write_record(const DeliveryOptions& options, const User& user,
                         const Record& before, const Record& after,
                         const RecordCause& cause);

}  // namespace entitle
