#include "core/stripe/facts.h"

#include <algorithm>

#include "core/stripe/event_types.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

// One customer by two names: what is kept under the account's is the
// customer's.
void join_names(const Reading& reading, Facts& facts) {
  std::string_view account = stripe::id(reading.object(), "customer_account");
  if (facts.places.empty() || facts.customer.empty() || account.empty()) return;
  std::string second = reading.qualified(account);
  if (second == facts.customer) return;
  add_forward(reading, second, facts.customer, facts);
  std::rotate(facts.places.begin(), facts.places.end() - 1, facts.places.end());
}

}  // namespace

std::optional<UserFrom> parse_user_from(std::string_view text) {
  using Kind = UserFrom::Kind;
  if (text == "client_reference_id") {
    return UserFrom{Kind::client_reference_id, {}};
  }
  if (text == "client_reference_id=signed") {
    return UserFrom{Kind::signed_client_reference_id, {}};
  }
  if (text == "link") return UserFrom{Kind::link, {}};
  if (text == "email") return UserFrom{Kind::email, {}};
  constexpr std::string_view metadata = "metadata.";
  if (text.starts_with(metadata) && text.size() > metadata.size()) {
    return UserFrom{Kind::metadata, std::string(text.substr(metadata.size()))};
  }
  return std::nullopt;
}

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
  Reading reading{event, options};
  read(reading, facts);
  join_names(reading, facts);
  return facts;
}

}  // namespace entitle
