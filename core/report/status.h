// What entitle_status tells: one value, told as JSON, as Prometheus' text and
// as a page for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/report/counters.h"
#include "core/report/settings.h"

namespace entitle {

// Of one list of what somebody has to be told of.
struct WaitingList {
  std::int64_t count = 0;
  std::optional<std::int64_t> oldest{};  // unix s, first seen
  std::string error{};                   // why it cannot be read; empty: it was

  std::int64_t oldest_seconds(std::int64_t now) const;  // 0: there is none
};

// Of one prefix and mode.
struct SpaceStatus {
  std::string prefix;
  Mode mode = Mode::live;
  WaitingList parked{};
  WaitingList unmatched{};
  std::vector<std::pair<std::string, std::string>> webhook{};
  std::string reconcile{};  // JSON, as it stands in Redis; empty: there is none

  // Of the hash: a number. Null: it is not there, or no number.
  std::optional<std::int64_t> webhook_number(std::string_view field) const;
  std::string_view webhook_text(std::string_view field) const;
  // A list cannot be read: nobody can tell who is kept waiting.
  bool is_unread() const {
    return !parked.error.empty() || !unmatched.error.empty();
  }
};

// Whether what was answered 2xx outlives its primary.
struct ReplicationStatus {
  std::int64_t replicas = 0;
  std::int64_t counted = 0;  // entitle_redis_wait; 0: nobody asked for more
};

struct Status {
  std::int64_t now = 0;  // unix s
  std::string nginx;     // its version
  std::int64_t worker = 0;

  bool reachable = false;  // Redis; else nothing is known of what it has
  ReplicationStatus replication{};
  bool gated = false;  // else there is neither zone nor lease
  bool hears_changes = false;
  std::size_t zone_bytes = 0;
  std::size_t zone_free = 0;

  std::int64_t loaded = 0;   // unix s: when the configuration was read
  std::size_t dry_runs = 0;  // locations that let everybody by
  std::vector<ServerSettings> servers{};

  std::size_t waiting = 0;  // requests, now
  Totals totals{};
  std::vector<Hours::Hour> hours{};
  std::vector<SpaceStatus> spaces{};
};

// What is wrong now, or that nothing is, in one sentence.
std::string headline(const Status& status);
bool is_well(const Status& status);

std::string status_json(const Status& status);
std::string status_metrics(const Status& status);

}  // namespace entitle
