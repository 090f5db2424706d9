#include "core/delivery/settling.h"

#include <algorithm>
#include <utility>

#include "core/access/given_back.h"
#include "core/base/types.h"
#include "core/delivery/options.h"

namespace entitle {
namespace {

// What is here and shall not be: `share` is what shall.
Sources misplaced(const Sources& here, const Sources& share) {
  Sources misplaced;
  for (const auto& [id, source] : here) {
    auto mine = share.find(id);
    if (mine == share.end() || mine->second != source) {
      misplaced.emplace(id, source);
    }
  }
  return misplaced;
}

// Whether a record has what every owner must have, and this round has not seen
// it: it came straight there while there was but one owner.
bool has_more_for_everybody(const Settling& s, const Sources& here) {
  if (s.owners.exceptions.empty()) return false;
  auto customer = here.find(s.id);
  return customer != here.end() && customer->second.deleted &&
         !includes(s.bring, {*customer});
}

// What waits for room in its owner's record stays where it was, and is told
// there what ends it: itself, its payment and the charge of that, its customer.
// True: that is news.
bool tell_of_waiting(const Settling& s, Sources& here, Sources& leaving) {
  Sources told;
  const Charges charges = charges_in(s.bring);
  auto tell = [&](const std::string& id, bool only_ends) {
    leaving.erase(id);
    auto brought = s.bring.find(id);
    if (brought == s.bring.end()) return;
    const Source& source = brought->second;
    told.emplace(id, only_ends ? source.only_ends() : source);
  };
  for (const std::string& id : s.waiting) {
    if (!leaving.contains(id)) continue;
    tell(id, false);
    for (const SessionFact& fact : told[id].sessions) {
      tell(fact.payment_intent, true);
      auto [charge, last] = charges.equal_range(fact.payment_intent);
      for (; charge != last; ++charge) tell(std::string(charge->second), true);
    }
    tell(s.id, true);
  }
  std::erase_if(told,
                [](const auto& one) { return one.second.says_nothing(); });
  return merge(here, told);
}

// Whether a fact leaves. Of what stays here for every owner only a later
// version's members may, which were said of all of the customer.
bool moves(const Sources& leaving, const Sources& share) {
  return std::any_of(leaving.begin(), leaving.end(), [&](const auto& one) {
    auto mine = share.find(one.first);
    if (mine == share.end()) return true;
    Source known = one.second;
    known.unknown = mine->second.unknown;
    return known != mine->second;
  });
}

}  // namespace

void Settling::begin_round() {
  owners = place.owners();
  all_owners = owners.all();
  told = owners.of(delivery.about).value_or(Target());
  held.clear();
  not_only_own.clear();
  waits = false;
  waiting = {owners.nobodys.begin(), owners.nobodys.end()};
  report = PlaceReport();
}

void Settling::wait(const Sources& sources) {
  waits = true;
  for (const auto& [source, facts] : sources) waiting.insert(source);
}

void Settling::wait(std::set<std::string> sources) {
  waits = true;
  waiting.merge(std::move(sources));
}

bool Settling::concerns(const Target& holder) const {
  const auto& concerned = place.concerned;
  if (!concerned || concerned->contains(holder)) return true;
  bool may_have_nobodys = !owners.nobodys.empty() && holder == owners.rest;
  return may_have_nobodys || !all_owners.contains(holder);
}

std::vector<Target> Settling::gaining() const {
  std::set<Target> gaining;
  bool everybody = false;
  for (const auto& [source, facts] : bring) {
    std::optional<Target> owner = owners.of(source);
    if (owner) gaining.insert(*std::move(owner));
    everybody |= source == id && facts.deleted;
  }
  std::vector<Target> to;
  for (const Target& owner : all_owners) {
    bool gains = everybody || gaining.contains(owner) || owner == told;
    if (gains || concerns(owner)) to.push_back(owner);
  }
  return to;
}

std::vector<Target> Settling::losing_to(const Target& owner) const {
  std::vector<Target> losing;
  for (const auto& [holder, sources] : held) {
    if (holder == owner) continue;
    bool loses = std::any_of(
        sources.begin(), sources.end(),
        [&](const auto& source) { return owners.of(source.first) == owner; });
    if (loses) losing.push_back(holder);
  }
  return losing;
}

std::vector<Target> Settling::gaining_from(const Target& holder) const {
  std::set<Target> gaining;
  auto sources = held.find(holder);
  if (sources != held.end()) {
    for (const auto& [source, facts] : sources->second) {
      std::optional<Target> owner = owners.of(source);
      if (owner && *owner != holder) gaining.insert(*owner);
    }
  }
  if (gaining.empty()) gaining.insert(*owners.rest);
  return {gaining.begin(), gaining.end()};
}

std::vector<Target> Settling::to_empty() const {
  std::vector<Target> holders;
  for (const Target& holder : place.holders) {
    bool only_own =
        all_owners.contains(holder) && !not_only_own.contains(holder);
    if (!only_own && concerns(holder)) holders.push_back(holder);
  }
  return holders;
}

bool Settling::stays_behind(const Target& holder, const Record& record) const {
  if (all_owners.contains(holder)) return false;
  Sources here = sources_of(record, id);
  return std::any_of(here.begin(), here.end(), [&](const auto& source) {
    return waiting.contains(source.first);
  });
}

bool Settling::event_waits(const Added& added,
                           const PlaceReport& owners_report) const {
  const std::vector<std::string>& said = delivery.sources;
  return !owners_report.kept &&
         std::any_of(said.begin(), said.end(), [&](const std::string& source) {
           return added.waiting.contains(source);
         });
}

bool Settling::in_time(const Record& record) {
  std::int64_t seen = record.seen_epoch(id);
  highest_seen = std::max(highest_seen, seen);
  return seen <= place.epoch;
}

Edit Settling::merge_into_owner(const Target& owner, const Sources& share,
                                PlaceReport& owners_report, Added& added,
                                const Record& before, Record& after) {
  if (!in_time(before)) return {Edit::Action::refuse};
  Sources own = sources_of(before, id);
  if (concerns(owner) && has_more_for_everybody(*this, own)) {
    return {Edit::Action::refuse};
  }
  if (own.empty() || misplaced(own, owners.share(own, id, owner)).empty()) {
    not_only_own.erase(owner);
  } else {
    not_only_own.insert(owner);
  }
  added = add_to(before, after, share, id, seconds_of(delivery.options));
  owners_report.kept = delivery.says(after.sources);
  if (added.room != Room::enough && after.sources == before.sources) {
    return {Edit::Action::leave};
  }
  after.places[id].set(place.epoch, true);
  auto mark = before.places.find(id);
  bool was_live = mark != before.places.end() && mark->second.live;
  bool same = after.sources == before.sources;
  if (same && after.places == before.places) return {Edit::Action::leave};
  return {Edit::Action::write, same && was_live ? "" : "applied"};
}

Edit Settling::remove_foreign(const Target& holder, bool& moved,
                              const Record& before, Record& after) {
  if (!in_time(before)) return {Edit::Action::refuse};
  Sources here = sources_of(before, id);
  Sources share = owners.share(here, id, holder);
  Sources leaving = misplaced(here, share);
  after.places[id].set(place.epoch, all_owners.contains(holder));
  bool marked = after.places == before.places;
  bool news = tell_of_waiting(*this, after.sources, leaving);
  if (leaving.empty() && marked && !news) return {Edit::Action::leave};
  if (!includes(bring, leaving)) return {Edit::Action::refuse};
  for (const auto& [source, facts] : leaving) {
    after.sources.erase(source);
    auto mine = share.find(source);
    if (mine != share.end()) after.sources.insert(*mine);
  }
  moved = moves(leaving, share);
  if (moved) return {Edit::Action::write, "moved"};
  return {Edit::Action::write, news ? "applied" : ""};
}

bool Settling::has_moved_on(const Place& now) const {
  bool moved_on = now.epoch != place.epoch || now.owners() != owners ||
                  !includes(bring, now.sources);
  bool more_to_pass_on =
      !to_users() &&
      (now.claims != place.claims || now.naming != place.naming ||
       now.waiting != place.waiting || now.email != place.email);
  return moved_on || more_to_pass_on;
}

Place Settling::closed(const Place& now) const {
  Place after = now;
  std::erase_if(after.sources, [&](const auto& one) {
    return owners.of(one.first).has_value();
  });
  for (const Target& emptied : place.holders) {
    after.holders.erase(emptied);
  }
  after.concerned.reset();
  after.to = owners.rest;
  after.owned = owners.exceptions;
  if (to_users()) {
    after.holders.insert(all_owners.begin(), all_owners.end());
  } else {
    merge(after.passed_on, bring);
  }
  return after;
}

}  // namespace entitle
