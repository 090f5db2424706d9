// Stripe's events of the last 30 days, applied as a webhook would have, or sent
// through the whole route.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/kept/context.h"
#include "cli/stripe/api.h"
#include "cli/stripe/reading.h"
#include "core/delivery/outcome.h"

namespace entitle::cli {

inline constexpr std::chrono::hours kStripeKeepsEvents{24 * 30};

struct EventSeen {
  std::string id, type;
  UnixTime created{};
};

struct EventsFound {
  std::vector<EventSeen> events;  // oldest first
  std::int64_t looked = 0;        // of types that change access
};

// What Stripe lists since then that says something about access; `missing`:
// only what Redis has never heard of. Throws Stop.
EventsFound find_events(const Context& context, StripeApi& stripe,
                        UnixTime since, bool missing);

// Null: Stripe has no such event (any more).
std::optional<StripeReply> event_of(StripeApi& stripe, const std::string& id);

// What becomes of it. Throws Stop where it cannot be stored.
struct Applied {
  Outcome outcome = Outcome::ignored;
  std::optional<User> user;
};
Applied apply(const Context& context, StripeApi& stripe,
              const StripeReading& reading, const StripeReply& event);

}  // namespace entitle::cli
