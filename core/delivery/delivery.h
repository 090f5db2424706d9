// Delivering one event's facts into Redis, exactly once, crash-safe: the
// protocol of docs/redis.md "Places", after the executable model the project
// started from. Each transaction is on one key under WATCH.
//
// Redis' state after any set of deliveries, in any order, with duplicates and
// any of them broken off and repeated, is the same (records' versions, times
// and logs aside). Redis refusing to write, or conflicts that do not end, is an
// outcome (not_stored), never an exception.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/delivery/outcome.h"
#include "core/redis/conversation.h"
#include "core/source/identifier.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {

inline constexpr std::string_view kAwaitsSubscription =
    "customer.subscription.created";
inline constexpr std::string_view kAwaitsUpdate =
    "customer.subscription.updated";

struct DeliveryResult {
  Outcome outcome = Outcome::not_stored;
  std::optional<User> user;
  std::vector<std::string> unlocks;       // entitlements of the user now
  std::vector<Identifier> before, after;  // effective identifiers
  std::int64_t version = 0;
  // Something the event speaks of is effective and no grant knows it: what it
  // is known by, if by anything.
  bool opens_nothing = false;
  bool unclear = false;  // because Stripe says a word that is not known
  std::vector<Identifier> unmatched;
  // What the event speaks of opens something, and with it something was bought
  // that no grant knows: the shop may want it so.
  std::vector<Identifier> beside;
  // It is paid, and this type of event, which says what becomes of it, has not
  // come. Empty: nothing is awaited. A subscription's session mostly comes
  // first, and is applied; a payment for one that does not run opens nothing.
  std::string_view awaits;
  bool waved_through = false;  // the same, but an operator ignores it
  // Who keeps what was claimed by an e-mail that this event corrects.
  std::optional<User> by_older_email;
  // The payment that this event takes back, where nothing is known to be paid
  // by it, so that nothing is taken away.
  std::string unknown_payment;
  bool owner_changed = false;  // conflicting claims: facts moved
  bool ambiguous = false;
  bool list_failed = false;  // `error` is of a list that people look at
  // What came to a browser that was handed over before, and went on.
  struct HandedOn {
    User browser, user;
    std::vector<std::string> sources;
  };
  std::vector<HandedOn> handed_on;
  std::string error;  // for the log: why not_stored, or
                      // what was found unreadable
};

// Stores `facts` of `event`, then the lookup keys. No facts: `ignored`. What it
// brought to a browser that was handed over goes on
// (core/delivery/hand_over.h).
Conversation<DeliveryResult> deliver(Facts facts, EventHead event,
                                     DeliveryOptions options);

}  // namespace entitle
