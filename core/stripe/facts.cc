#include "core/stripe/facts.h"

#include "core/stripe/event_types.h"
#include "core/stripe/facts_parts.h"

namespace entitle {

std::vector<UserFrom> default_user_from() {
  return {{UserFrom::Kind::client_reference_id, ""},
          {UserFrom::Kind::metadata, "user_id"},
          {UserFrom::Kind::metadata, "userId"},
          {UserFrom::Kind::link, ""}};
}

Facts facts_of(const Event& event, const FactsOptions& options) {
  Facts facts;
  if (event.thin) {
    facts.note =
        "a thin event says nothing by itself: set the destination's payload "
        "style to \"snapshot\" in Stripe";
    return facts;
  }
  FactsFunction read = facts_function(event.head.type);
  if (read == nullptr) {
    facts.note = "events of this type change no access";
    return facts;
  }
  read(Reading{event, options}, facts);
  return facts;
}

}  // namespace entitle
