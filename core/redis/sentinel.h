// Finding a primary through Redis Sentinel, without I/O.
// Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
// and redis 7.0 src/sentinel.c, src/replication.c (ROLE).
//
// Any Sentinel may be asked; none is believed without the server's own ROLE:
// a Sentinel may be behind, and a deposed primary may still answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/monotonic.h"
#include "core/redis/address.h"
#include "core/redis/backoff.h"
#include "core/redis/reply.h"

namespace entitle {

// SENTINEL get-master-addr-by-name <name>. Null: it does not know that name,
// or the answer makes no sense.
std::optional<RedisHost> parse_master_address(const Reply& reply);

// SENTINEL MASTER <name>: names and values in turn.
struct MasterState {
  RedisHost address;
  bool well = false;  // not seen down, no fail-over under way, connected
};
std::optional<MasterState> parse_master_state(const Reply& reply);

// The payload of +switch-master: "<name> <old ip> <old port> <new ip> <new
// port>". Null: not of this name, or broken.
std::optional<RedisHost> parse_switch_master(std::string_view payload,
                                             std::string_view master_name);

struct Role {
  enum class Kind { primary, replica, sentinel };
  Kind kind;
  // Replication offset: of a primary, what it has written; of a replica, what
  // it has received.
  std::int64_t offset = 0;
  bool linked = false;  // a replica that receives from its primary now
  RedisHost primary;    // of a replica
};
std::optional<Role> parse_role(const Reply& role);

// The search for the primary: whom to ask, whom to try, when to rest.
//
//   ask      connect to sentinel(), send get-master-addr-by-name, report
//            answered() or sentinel_failed()
//   connect  connect to candidate(), send ROLE, report role() or
//            candidate_failed()
//   rest     wait pause(), then report rested()
//   found    candidate() is the primary, until lost() or switched()
class SentinelSearch {
 public:
  enum class Next { ask, connect, rest, found };

  // At least one.
  explicit SentinelSearch(std::vector<RedisHost> sentinels,
                          const BackoffPolicy& backoff = {});

  Next next() const { return next_; }
  const RedisHost& sentinel() const { return sentinels_[asking_]; }
  const RedisHost& candidate() const { return candidate_; }
  Milliseconds pause() const { return pause_; }

  // `random`: any 64 bits, for the pause after a round without success.
  void answered(const Reply& master_address, std::uint64_t random);
  void sentinel_failed(std::uint64_t random);
  void role(const Reply& role, std::uint64_t random);
  void candidate_failed(std::uint64_t random);
  void rested();

  // The primary closed, or answered READONLY, LOADING or MASTERDOWN
  // (ErrorMeaning::elsewhere). The Sentinel that knew last is asked first.
  void lost();
  // A Sentinel announced another primary. It is tried at once.
  void switched(const RedisHost& to);

 private:
  void ask_next(std::uint64_t random);

  std::vector<RedisHost> sentinels_;  // the one that knew last comes first
  std::size_t asking_ = 0;
  RedisHost candidate_;
  Next next_ = Next::ask;
  Backoff backoff_;
  Milliseconds pause_{0};
};

// A heartbeat's question to all Sentinels, SENTINEL MASTER <name>: is this
// still the primary, and in good health? Most of those configured have to say
// so. Sentinels hear of a fail-over late (the one that led it first), but one
// of a primary that cannot be reached starts only when `quorum` of them see it
// down. So, with a quorum of most, an isolated primary loses this vote before
// another is promoted.
class PrimaryVote {
 public:
  PrimaryVote(RedisHost primary, std::size_t sentinels)
      : primary_(std::move(primary)), answered_(sentinels, false) {}

  // A second answer of the same Sentinel does not count.
  void answered(std::size_t sentinel, const Reply& master);

  bool confirmed() const { return agree_ > answered_.size() / 2; }
  // Some Sentinel names another: time to search.
  bool contradicted() const { return contradicted_; }

 private:
  RedisHost primary_;
  std::vector<bool> answered_;
  std::size_t agree_ = 0;
  bool contradicted_ = false;
};

}  // namespace entitle
