// What Stripe says of an event that it could not make: a thin
// `v2.core.health.event_generation_failure.resolved`, the only sign there is of
// it. Nobody ever sends the event itself.
// Source: https://docs.stripe.com/api/v2/core/events/event-types
#pragma once

#include <optional>
#include <string>

#include "core/stripe/event.h"

namespace entitle {

struct LostEvent {
  std::string object;  // "sub_…": what it would have been about
  std::string type;    // "customer.subscription.updated"; empty: not said
};

// Null: it is another event, or names no object.
std::optional<LostEvent> lost_event(const Event& event);

}  // namespace entitle
