// entitlements.active_entitlement_summary.updated: all a customer's features,
// or, with has_more, some of them (Stripe lists at most ten).
// Source: https://docs.stripe.com/billing/entitlements
#include "core/json/tree.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

template <class Members>
IdentifierList features(const Reading& reading, const Members& members) {
  IdentifierList list(reading.head().account);
  for (const json::Node* entitlement : members) {
    if (list.truncated()) break;
    std::string_view key = json::string(entitlement, "lookup_key");
    if (key.empty()) {
      key = json::string(json::member(entitlement, "feature"), "lookup_key");
    }
    if (!key.empty()) list.add_feature(key);
  }
  return list;
}

}  // namespace

void entitlement_summary_facts(const Reading& reading, Facts& facts) {
  facts.customer = customer_place(reading);
  const Listing now = listing(reading, "entitlements", Listed::entitlements);
  if (facts.customer.empty() || !now.said) {
    add_note(facts, "the summary has no customer or no list");
    return;
  }

  SummaryFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  IdentifierList list = features(reading, now.members);
  fact.has_more = list.truncated() || now.has_more;
  fact.identifiers = std::move(list).sorted();
  const json::Node* before =
      json::member(reading.event.previous, "entitlements");
  if (const json::Node* previous =
          stripe::list(reading.event.previous, "entitlements")) {
    IdentifierList previous_list = features(reading, json::Children(previous));
    if (!previous_list.truncated() &&
        !json::boolean(before, "has_more").value_or(false)) {
      fact.previous = std::move(previous_list).sorted();
    }
  }
  facts.identifiers = fact.identifiers;

  PlaceFacts own = own_place(reading, facts.customer, UserHints{}, facts);
  Source& source = own.sources[own.place];
  source.place = own.place;
  source.summaries.insert(std::move(fact));
  facts.places.push_back(std::move(own));
}

}  // namespace entitle
