#include "core/delivery/place_rules.h"

#include <algorithm>

#include "core/base/rising.h"
#include "core/delivery/options.h"
#include "core/delivery/room.h"

namespace entitle {
namespace {

bool may_be_claimed(std::string_view place, const Claim& claim) {
  bool forwards = claim.kind == ClaimKind::forward;
  if (!forwards && claim.kind != ClaimKind::part_of) {
    return claim.target.user().has_value();
  }
  std::string_view part = forwards ? place : std::string_view(claim.source);
  std::string_view target = claim.target.place();
  return !part.empty() && !target.empty() && may_forward(part, target);
}

}  // namespace

PlaceFacts acceptable(PlaceFacts facts) {
  for (auto& [id, source] : facts.sources) source.place = facts.place;
  std::erase_if(facts.claims, [&](const Claim& claim) {
    return !may_be_claimed(facts.place, claim);
  });
  return facts;
}

void take_claims(Place& place, const std::vector<Claim>& claims) {
  std::vector<std::string> before = place.forwards();
  place.make_use_of_room();
  for (const Claim& claim : claims) place.add(claim);
  if (place.forwards() == before) return;
  merge(place.sources, place.passed_on);
  place.passed_on.clear();
  place.unsettle();
}

bool has_any(const Place& place, const std::vector<Claim>& some) {
  return std::any_of(some.begin(), some.end(),
                     [&](const Claim& claim) { return place.has(claim); });
}

bool learned(const Place& before, const Place& after) {
  return after.claims != before.claims || after.naming != before.naming ||
         after.waiting != before.waiting ||
         after.passed_on != before.passed_on || after.email != before.email;
}

std::optional<Target> sole_owner(const Owners& owners,
                                 const PlaceFacts& facts) {
  if (facts.sources.empty()) {
    bool named = !facts.claims.empty();
    return named ? owners.of(facts.claims.front().source) : owners.rest;
  }
  std::optional<Target> sole = owners.of(facts.sources.begin()->first);
  for (const auto& [id, source] : facts.sources) {
    bool everybodys = id == facts.place && source.deleted;
    if (everybodys && !owners.exceptions.empty()) return std::nullopt;
    if (owners.of(id) != sole) return std::nullopt;
  }
  return sole;
}

void take_facts(Place& place, const Sources& sources, const Place& before) {
  merge(place.sources, sources);
  Owners owners = place.owners();
  if (!owners.rest) return;
  bool elsewhere = before.to && before.to != owners.rest;
  bool caught_up = place.epoch != before.epoch;  // see deliver_to_place
  place.note_concerned(before);
  if (caught_up) place.concerned.reset();
  if (owners != before.owners() || elsewhere) place.epoch = risen(place.epoch);
  place.unsettle();
  if (owners.rest->user()) {
    place.holders.merge(owners.all());
    return;
  }
  bool nothing_to_pass_on = place.sources.empty() && place.holders.empty() &&
                            place.user_claims().empty() && !place.email;
  if (nothing_to_pass_on) place.to = owners.rest;
}

bool conflicting(const Place& before, const Place& after) {
  return std::any_of(
      before.naming.begin(), before.naming.end(), [&](const auto& said) {
        auto now = after.naming.find(said.first);
        return now != after.naming.end() && said.second.front().target.user() &&
               now->second.front().target != said.second.front().target;
      });
}

Edit merge_if_live(const Delivery& delivery, const PlaceFacts& facts,
                   std::int64_t epoch, const Record& before, Record& after,
                   PlaceReport& report, Refusal& refusal) {
  report.known = delivery.says(before.sources);
  report.kept = report.known;
  if (facts.sources.empty()) return {Edit::Action::leave};

  auto mark = before.places.find(facts.place);
  bool marked = mark != before.places.end();
  if (marked && mark->second.epoch > epoch) {
    refusal.seen = mark->second.epoch;
    return {Edit::Action::refuse};
  }
  if (!marked || !mark->second.live) {
    refusal.not_live = true;
    return {Edit::Action::refuse};
  }
  Added added = add_to(before, after, facts.sources, facts.place,
                       seconds_of(delivery.options));
  if (added.room != Room::enough) {
    refusal.not_live = true;  // the place keeps what has no room
    return {Edit::Action::refuse};
  }
  report.kept = delivery.says(after.sources);
  if (after.sources != before.sources) return {Edit::Action::write, "applied"};
  if (report.known || !delivery.speaks_of(facts.sources)) {
    return {Edit::Action::leave};
  }
  return {Edit::Action::write, "superseded"};
}

}  // namespace entitle
