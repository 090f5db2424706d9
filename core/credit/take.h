// Credits are taken by a counter in Redis, which never exceeds what was put: it
// is raised first, and lowered again by what is too much. So whoever raises it
// has what is below the put for themselves, however many raise it at once, on
// however many nodes; in between the counter may say more than was taken, never
// less. Whoever dies in between has taken for nobody, and nobody else is given
// what they took.
//
// No transaction and no script: one round trip for most, two where something is
// too much.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/credit/account.h"
#include "core/record/keys.h"
#include "core/redis/conversation.h"
#include "core/redis/transaction.h"

namespace entitle {

// A counter is kept this long beyond its period.
inline constexpr Seconds kCounterKept = std::chrono::hours(24 * 45);

struct CreditShare {  // of a pot
  UnixTime from{};
  UnixTime until = kForever;
  std::int64_t credits = 0;
  bool operator==(const CreditShare&) const = default;
};

struct PotUse {  // as it was seen last
  UnixTime from{};
  std::int64_t taken = 0;
};

// Which account, of whom. Copied into the conversation, but for `lines`, which
// have to outlive it.
struct CreditQuestion {
  Keys keys;
  User user;
  std::string name;
  const CreditLines* lines;  // not null
  Policy policy;
  UnixTime now;
  ReplicaWait wait{};
};

struct CreditTaking {
  // As it is known already. Null: it is read first, with its counters.
  std::optional<CreditAccount> account;
  std::vector<PotUse> uses;  // what is known of its counters
  std::int64_t need = 0;     // less is not enough; 0: nothing is taken
  std::int64_t want = 0;     // as much is taken at once, unless few are left
  std::int64_t debt = 0;     // was let by: taken whatever is left
  std::vector<CreditShare> back;  // given back before
};

struct CreditsTaken {
  std::string error;        // Redis' words, or ours; empty: it went well
  bool unreadable = false;  // then: the record, not Redis
  CreditAccount account;
  std::vector<PotUse> uses;
  // Whatever else happened. Less than `need`: there are no more.
  std::vector<CreditShare> shares;
  bool settled = false;  // `debt` and `back` were told
};
// Who only looks says nothing of `taking`: then the account is read, and what
// is taken of it (credits_left).
Conversation<CreditsTaken> take_credits(CreditQuestion question,
                                        CreditTaking taking);

std::int64_t sum(const std::vector<CreditShare>& shares);
// What of the account is left by these uses; never below 0.
std::int64_t credits_left(const CreditAccount& account,
                          const std::vector<PotUse>& uses);

}  // namespace entitle
