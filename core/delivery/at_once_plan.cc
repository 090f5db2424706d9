#include "core/delivery/at_once_plan.h"

#include <algorithm>
#include <set>

#include "core/delivery/likely_owners.h"
#include "core/delivery/options.h"
#include "core/delivery/place_rules.h"
#include "core/delivery/room.h"
#include "core/record/keys.h"
#include "core/record/owners.h"
#include "core/source/claim.h"
#include "core/source/source.h"

namespace entitle::at_once {
namespace {

std::optional<User> named_by(const PlaceFacts& own, const std::string& about) {
  const Claim* named = nullptr;
  for (const Claim& claim : own.claims) {
    if (claim.kind == ClaimKind::forward || !claim.target.user()) continue;
    if (named == nullptr || claim.source == about) named = &claim;
  }
  if (named == nullptr) return std::nullopt;
  return named->target.user();
}

// Part of another place from now on, or as before; and nothing waits in it.
bool plan_part(PlaceEdit& part) {
  if (!part.facts.sources.empty() || part.facts.email) return false;
  bool forwards = std::all_of(
      part.facts.claims.begin(), part.facts.claims.end(),
      [](const Claim& claim) { return claim.kind == ClaimKind::forward; });
  if (!forwards || part.facts.claims.empty()) return false;
  if (!part.after.settled()) take_facts(part.after, {}, part.before);
  return part.after.settled();
}

// Straight into the record of the owner of a settled place.
bool plan_straight(Plan& plan, Record& after) {
  Refusal refusal;
  plan.edit = merge_if_live(plan.delivery, plan.own.facts, plan.own.after.epoch,
                            plan.record, after, plan.report, refusal);
  return plan.edit.action != Edit::Action::refuse;
}

// Whether nothing of it is anywhere but here and with this owner of all of it.
bool is_all(const Place& place, const Target& owner) {
  const Owners owners = place.owners();
  return owners.rest == owner && owners.exceptions.empty() &&
         owners.nobodys.empty() && place.other_holders.empty() &&
         place.holders == std::set<Target>{owner};
}

// What waits, and what comes, into the record; the place is settled with that.
bool plan_settling(Plan& plan, const Target& owner, Record& after) {
  PlaceEdit& own = plan.own;
  const std::string& id = own.facts.place;
  plan.report.known = plan.delivery.says(own.before.sources) ||
                      (own.before.holders.contains(owner) &&
                       plan.delivery.says(plan.record.sources));
  take_facts(own.after, own.facts.sources, own.before);
  bool alone = is_all(own.after, owner) && !conflicting(own.before, own.after);
  if (!alone || plan.record.seen_epoch(id) > own.after.epoch) return false;

  Added added = add_to(plan.record, after, own.after.sources, id,
                       seconds_of(plan.delivery.options));
  if (added.room != Room::enough) return false;
  plan.report.kept = plan.delivery.says(after.sources);
  auto mark = plan.record.places.find(id);
  bool was_live = mark != plan.record.places.end() && mark->second.live;
  after.places[id].set(own.after.epoch, true);
  bool same = after.sources == plan.record.sources;
  if (!same || after.places != plan.record.places) {
    plan.edit = {Edit::Action::write, same && was_live ? "" : "applied"};
  }
  own.after.sources.clear();
  own.after.concerned.reset();
  own.after.owned.clear();
  own.after.to = owner;
  return true;
}

}  // namespace

bool begin(Plan& plan) {
  const std::vector<PlaceFacts>& places = plan.facts.places;
  for (const PlaceFacts& place : places) {
    PlaceFacts facts = acceptable(place);
    if (&place == &places.back()) {
      plan.own.facts = std::move(facts);
      break;
    }
    auto same = std::find_if(
        plan.parts.begin(), plan.parts.end(),
        [&](const PlaceEdit& part) { return part.facts.place == facts.place; });
    if (same == plan.parts.end() || !facts.sources.empty() || facts.email) {
      plan.parts.push_back({std::move(facts)});
    } else {
      auto& claims = same->facts.claims;
      claims.insert(claims.end(), facts.claims.begin(), facts.claims.end());
    }
  }
  std::erase_if(plan.parts,
                [](const PlaceEdit& part) { return says_nothing(part.facts); });
  if (says_nothing(plan.own.facts)) return false;
  for (const PlaceEdit& part : plan.parts) {
    if (part.facts.place == plan.own.facts.place) return false;
  }
  plan.guess = named_by(plan.own.facts, plan.delivery.about);
  const DeliveryOptions& options = plan.delivery.options;
  if (!plan.guess && options.likely != nullptr) {
    plan.guess = options.likely->of(options.keys.place(plan.own.facts.place));
  }
  return true;
}

bool plan_parts(Plan& plan) {
  for (PlaceEdit& part : plan.parts) {
    if (!plan_part(part)) return false;
  }
  return true;
}

bool plan_waiting(Plan& plan) {
  PlaceEdit& own = plan.own;
  if (!own.before.holders.empty() || own.before.to) return false;
  plan.report.known = plan.delivery.says(own.before.sources);
  take_facts(own.after, own.facts.sources, own.before);
  if (own.after.owner()) return false;
  plan.indexed = Target::of_place(own.facts.place);
  return true;
}

bool plan_owned(Plan& plan, const Target& owner) {
  plan.settles = !plan.own.after.settled();
  Record after = plan.record;
  bool planned = plan.settles ? plan_settling(plan, owner, after)
                              : plan_straight(plan, after);
  if (!planned) return false;
  after.bound_marks(plan.own.facts.place);
  plan.report.user = owner.user();
  plan.report.record = std::move(after);
  plan.report.sources_before = plan.record.sources;
  plan.indexed = owner;
  return true;
}

bool broke_off(const Plan& plan) {
  return !plan.report.known &&
         std::any_of(plan.parts.begin(), plan.parts.end(),
                     [](const PlaceEdit& part) {
                       return has_any(part.before, part.facts.claims);
                     });
}

void report_on_place(Plan& plan) {
  const PlaceEdit& own = plan.own;
  PlaceReport& report = plan.report;
  if (plan.delivery.sources.empty()) {
    report.known = has_any(own.before, own.facts.claims);
    report.kept = has_any(own.after, own.facts.claims);
  }
  if (own.before.email) report.email_was = own.before.email->text;
  if (own.after.email) report.email_is = own.after.email->text;
  report.by_older_email = own.after.owner_by_older_email();
}

}  // namespace entitle::at_once
