#include "core/delivery/link.h"

#include <utility>

#include "core/source/target.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {

std::set<std::string> named_along_with(const Source& source) {
  std::set<std::string> along;
  for (const SessionFact& session : source.sessions) {
    for (const std::string* id :
         {&session.subscription, &session.payment_intent, &session.charge}) {
      if (!id->empty()) along.insert(*id);
    }
  }
  return along;
}

std::vector<Claim> links(const std::vector<std::string>& sources,
                         const User& user, UnixTime said,
                         const std::string& event) {
  std::vector<Claim> claims;
  if (sources.empty()) {
    claims.push_back(
        Claim{ClaimKind::operators, said, event, Target::of(user)});
  }
  for (const std::string& source : sources) {
    claims.push_back(Claim{ClaimKind::operators_of_purchase, said, event,
                           Target::of(user), source});
  }
  return claims;
}

Conversation<DeliveryResult> link_to_user(std::string place,
                                          std::vector<std::string> sources,
                                          User user, OperatorsWord word,
                                          DeliveryOptions options) {
  EventHead event = operators_event("link", word, options);
  PlaceFacts facts{std::move(place), {}, {}, {}};
  facts.claims = links(sources, user, event.created, event.id);
  Facts all;
  all.places.push_back(std::move(facts));
  auto delivering = deliver(std::move(all), std::move(event), options);
  DeliveryResult result = co_await delivering;
  co_return result;
}

}  // namespace entitle
