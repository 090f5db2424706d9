// customer.*: whose a customer is, and that it is gone.
// Source: https://docs.stripe.com/api/customers/object
#include "core/base/ascii.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/said_email.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

// Only a customer who had one until now: of one who never had, what a checkout
// said counts.
bool has_lost_email(const Reading& reading) {
  return reading.object() != nullptr &&
         json::is_null(json::member(reading.object(), "email")) &&
         json::is_string(json::member(reading.event.previous, "email"));
}

std::optional<PlaceFacts> customer(const Reading& reading, Facts& facts) {
  const json::Node* object = reading.object();
  std::string_view id = stripe::id(object, "id");
  if (id.empty()) {
    add_note(facts, "the customer has no id");
    return std::nullopt;
  }
  facts.customer = reading.qualified(id);
  facts.email = lower_case(json::string(object, "email"));
  UserHints hints;
  hints.metadata = json::member(object, "metadata");
  hints.metadata_kind = ClaimKind::customer_metadata;
  hints.email = facts.email;
  PlaceFacts own = own_place(reading, facts.customer, hints, facts);
  if (has_lost_email(reading)) {
    own.email = SaidEmail{reading.head().created, reading.head().id,
                          std::string(kNoEmail)};
  }
  return own;
}

}  // namespace

void customer_facts(const Reading& reading, Facts& facts) {
  std::optional<PlaceFacts> own = customer(reading, facts);
  if (!own) return;
  if (own->claims.empty() && !own->email) {
    add_note(facts, "the customer names no user and no e-mail");
    return;
  }
  facts.places.push_back(*std::move(own));
}

void customer_deleted_facts(const Reading& reading, Facts& facts) {
  std::optional<PlaceFacts> own = customer(reading, facts);
  if (!own) return;
  Source& source = own->sources[own->place];
  source.place = own->place;
  source.deleted = {reading.head().id, reading.head().created};
  facts.places.push_back(*std::move(own));
}

}  // namespace entitle
