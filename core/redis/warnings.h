// What a primary's own settings put at risk, from its answers to INFO memory,
// INFO persistence and INFO replication (CONFIG is often denied). Which of our
// keys expire: docs/redis.md. What each maxmemory-policy may drop: redis.conf.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

// Whether it is a primary that says so; only then is the rest about what is
// kept there.
bool says_primary(std::string_view info);

// One sentence for each risk, for the log; none where all is well, or where
// nothing is said of it. A policy is no risk while maxmemory is 0: nothing is
// ever dropped then.
std::vector<std::string> storage_warnings(std::string_view info);

// How many replicas are connected to this primary; 0 where it does not say.
std::int64_t connected_replicas(std::string_view info);

// entitle_redis_wait counts too few: one that was not counted may take over.
// Empty: it counts enough, or (0) none.
std::string replica_wait_warning(std::int64_t replicas, std::int64_t counted);

}  // namespace entitle
