// What Stripe tells when it is asked, in the words of an event: the same facts
// that a webhook about that object would give, so that keeping them is the same
// protocol. They are dated by Stripe's clock and lose to any event of the same
// second.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/asking.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle::cli {

// What an answer begins with in the ids of what it told: before any event's,
// so that of two that nothing else tells apart the event counts.
inline constexpr std::string_view kToldBegin = "api_";

struct Told {
  std::string id;  // of the object: sub_..., cs_..., in_..., ch_..., du_...
  EventHead head;  // as it is delivered and logged
  Facts facts;     // none: it says nothing about access
};

// `type`: of the event that would say this. `object` is the answer's, `date`
// its date. What Stripe has to be asked besides is in `options.asked`.
Told told(std::string_view type, const json::Node* object, UnixTime date,
          const FactsOptions& options);

// A subscription that is known to be past due for longer than Stripe's answer
// can tell is so since then.
void date_past_due(Told& told, const Sources& kept);

// What to ask Stripe besides, as the webhook would. Null: nothing.
std::optional<StripeQuestion> question_about(const Told& told,
                                             const json::Node* object,
                                             bool opens_nothing);

// Of a subscription that Stripe does not know (any more): it is over.
Told told_that_it_is_gone(const std::string& source, const std::string& place,
                          UnixTime date);

// A subscription with its customer expanded names whom the customer's metadata
// or e-mail name, too.
Told told_of_subscription(const json::Node* object, UnixTime date,
                          const FactsOptions& options);

}  // namespace entitle::cli
