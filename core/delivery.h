// Delivering one event's facts into Redis, exactly once, crash-safe: the
// protocol of docs/redis.md "Places", after the executable model the project
// started from. Each transaction is on one key under WATCH.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/access.h"
#include "core/conversation.h"
#include "core/event.h"
#include "core/facts.h"
#include "core/record.h"

namespace entitle {

enum class Outcome {
  applied,
  duplicate,
  superseded,
  ignored,
  parked,
  unmatched,
  mode_mismatch,
  account_not_allowed,
  not_stored,  // 503: Redis refused, or conflicts did not end
};
std::string_view name(Outcome outcome);

struct DeliveryOptions {
  Keys keys;
  Policy policy;
  const GrantMap* grants;             // not null
  std::chrono::sys_time<std::chrono::milliseconds> now;
  std::uint64_t jitter_seed;          // for the pauses between retries
  bool touch_duplicates = false;      // entitle_redis_wait: a duplicate writes
};

struct DeliveryResult {
  Outcome outcome = Outcome::not_stored;
  std::optional<User> user;
  std::vector<std::string> unlocks;         // entitlements of the user now
  std::vector<Identifier> before, after;    // effective identifiers
  std::int64_t version = 0;
  std::vector<Identifier> unmatched;        // identifiers no grant knows
  bool owner_changed = false;               // conflicting claims: facts moved
  bool ambiguous = false;
  std::string error;                        // for the log when not_stored
};

// Stores `facts` (not empty) of `event`, then the lookup keys and the log.
Conversation<DeliveryResult> deliver(Facts facts, EventHead event,
                                     DeliveryOptions options);

}  // namespace entitle
