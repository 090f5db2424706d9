// What every delivery into Redis is given: where the keys are, what the
// operator decided, and the time. Copied into the conversation; `grants` has to
// outlive it.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/record/keys.h"
#include "core/redis/transaction.h"

namespace entitle {

class LikelyOwners;  // core/delivery/likely_owners.h

struct DeliveryOptions {
  Keys keys;
  Policy policy;
  const GrantMap* grants;  // not null
  std::chrono::sys_time<std::chrono::milliseconds> now;
  std::uint64_t jitter_seed;      // for the pauses between retries
  ReplicaWait wait{};             // entitle_redis_wait: after each write
  bool touch_duplicates = false;  // with it, a duplicate writes, too
  // One server has all keys, so that one transaction may write several: no
  // Cluster.
  bool one_server = false;
  LikelyOwners* likely = nullptr;  // outlives it, too; null: nobody remembers
};

// `now`, rounded down.
UnixTime seconds_of(const DeliveryOptions& options);

}  // namespace entitle
