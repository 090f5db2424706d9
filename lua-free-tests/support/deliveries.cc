#include "lua-free-tests/support/deliveries.h"

#include <cstdlib>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/options.h"
#include "core/record/keys.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/said_email.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"

namespace entitle::test {

Claim user_claim(std::string_view event, std::int64_t created,
                 std::string_view user, ClaimKind kind) {
  return {kind, unix_time(created), std::string(event),
          Target("u:" + std::string(user))};
}

Claim forward_claim(std::string_view event, std::int64_t created,
                    std::string_view place) {
  return {ClaimKind::forward, unix_time(created), std::string(event),
          Target::of_place(place)};
}

Delivered purchase(std::string_view event, std::string_view place,
                   std::string_view source, std::vector<Claim> claims,
                   std::string_view identifier) {
  Delivered delivered;
  delivered.head.id = event;
  delivered.head.type = "checkout.session.completed";
  delivered.head.created = unix_time(kNow);
  delivered.head.livemode = true;
  PlaceFacts own{std::string(place), std::move(claims), {}};
  if (!source.empty()) {
    SessionFact fact;
    fact.event = event;
    fact.created = unix_time(kNow);
    fact.paid = true;
    fact.identifiers.push_back(*Identifier::parse(identifier));
    Source& bought = own.sources[std::string(source)];
    bought.place = place;
    bought.sessions.insert(std::move(fact));
  }
  delivered.facts.places.push_back(std::move(own));
  return delivered;
}

void also_forwards(Delivered& delivered, std::string_view place,
                   std::string_view to) {
  PlaceFacts part{
      std::string(place), {forward_claim(delivered.head.id, kNow, to)}, {}};
  auto& places = delivered.facts.places;
  places.insert(places.end() - 1, std::move(part));
}

void says_email(Delivered& delivered, std::string_view email,
                std::int64_t said) {
  delivered.facts.email = email;
  delivered.facts.places.back().email =
      SaidEmail{unix_time(said), delivered.head.id, std::string(email)};
}

namespace {

Delivered subscription(std::string_view event, std::string_view source,
                       SnapshotType type, std::string_view status,
                       std::int64_t after) {
  Delivered delivered = purchase(event, "cus_1", source);
  Snapshot fact;
  fact.event = event;
  fact.created = unix_time(kNow - 100 + after);
  fact.type = type;
  fact.state.status = status;
  fact.state.period_end = unix_time(kNow + 1000);
  fact.state.identifiers = {*Identifier::parse("price_pro")};
  Source& about_it = delivered.facts.places[0].sources.begin()->second;
  about_it.sessions = {};
  about_it.snapshots.insert(std::move(fact));
  return delivered;
}

}  // namespace

Delivered subscribes(std::string_view event, std::string_view source,
                     std::string_view user, std::int64_t said) {
  Delivered delivered =
      subscription(event, source, SnapshotType::created, "active", 10);
  delivered.facts.places[0].claims = {about(
      source, user_claim(event, said, user, ClaimKind::subscription_metadata))};
  return delivered;
}

Delivered cancels(std::string_view event, std::string_view source) {
  return subscription(event, source, SnapshotType::deleted, "canceled", 20);
}

Claim about(std::string_view source, Claim claim) {
  claim.source = source;
  return claim;
}

const GrantMap& grants() {
  static const GrantMap map = [] {
    GrantMap made;
    made.add("pro", *Identifier::parse("price_pro"));
    return made;
  }();
  return map;
}

namespace {

bool has_one_server(std::uint64_t seed) {
  const char* text = std::getenv("ENTITLE_TEST_SERVERS");
  const std::string_view servers = text == nullptr ? "one" : text;
  return servers == "one" || (servers == "either" && seed % 2 == 0);
}

}  // namespace

DeliveryOptions options(std::uint64_t seed) {
  return {.keys = Keys("entitle:", Mode::live),
          .policy = Policy(),
          .grants = &grants(),
          .now = std::chrono::sys_time<std::chrono::milliseconds>(
              std::chrono::milliseconds(kNow * 1000)),
          .jitter_seed = seed,
          .one_server = has_one_server(seed)};
}

Conversation<DeliveryResult> deliver(const Delivered& delivered,
                                     std::uint64_t seed) {
  return entitle::deliver(delivered.facts, delivered.head, options(seed));
}

User user(std::string_view name) { return *User::from(name); }

}  // namespace entitle::test
