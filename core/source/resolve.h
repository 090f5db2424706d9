// What a source's set of facts says now: a pure function of the facts, whatever
// the order in which they came. Nothing here knows a policy or the time.
// Reference for events of one second: docs/stripe.md, "Order".
#pragma once

#include <optional>
#include <vector>

#include "core/base/types.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {

// The subscription's state now, a pure function of the facts.
struct ResolvedSubscription {
  SubscriptionState state;
  // Each item by itself, until when it is paid for. What is said of the whole
  // subscription holds as long as the last of them.
  ItemPeriods items;
  std::optional<UnixTime> past_due_since;  // while the status is past_due
  // An invoice of it was paid after Stripe said last what it is: that it does
  // not run, or is past due.
  bool paid_since = false;
  bool ended = false;      // for good, whatever the status says
  bool ambiguous = false;  // order inside one second undetermined: the least
                           // privileged candidate was taken
};
// Null: nothing was said about a subscription.
std::optional<ResolvedSubscription> resolve(const Source& source);

// Until when its collection is paused; kForever: nobody says. The epoch: it is
// not.
UnixTime paused_until(const SubscriptionState& state);

// A customer's features now, by the same rules. Null: no summary came.
struct ResolvedFeatures {
  std::vector<Identifier> identifiers;  // sorted, unique
  bool ambiguous = false;
};
std::optional<ResolvedFeatures> resolve_features(const Source& source);

}  // namespace entitle
