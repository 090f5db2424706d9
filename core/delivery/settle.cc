// Bringing all that waits in a place, and all that others hold of it, to its
// owners. Anyone may settle at any time, several at once; what a crash left is
// finished by the next delivery, whichever it is.
//
// Records are fenced by the place's epoch, which rises when any source's owner
// changes: a record refuses what comes from an earlier one. Four fences, each
// needed (interleaving_property_test.cc fails without any of them): a write
// straight into a record (merge_if_live), merging (merge_into_owner), removing
// (remove_foreign) and closing the place (finish) all refuse what has moved on.
//
// What a change of owners does not concern keeps its epoch (Place::concerned):
// whoever is late there writes to whom it belongs all the same.
//
// A record keeps the marks of a few places, and of all others a floor: the
// greatest epoch of any mark it dropped. Whoever comes with less may be late,
// and gives the place a higher epoch before it goes on.
#include <algorithm>
#include <map>
#include <set>

#include "core/access/given_back.h"
#include "core/base/rising.h"
#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/delivery/parts.h"
#include "core/delivery/room.h"
#include "core/delivery/unmatched.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/claim.h"
#include "core/source/source.h"

namespace entitle {
namespace {

enum class Round {
  done,
  again,  // something moved on: start again from a fresh read
  waits,  // a record cannot be read or is full: all stays in the place
  failed,
};

struct Settling {
  Delivery& delivery;
  std::string id;
  PlaceReport& report;
  bool may_be_parked;

  Place place{};
  Owners owners{};
  std::set<Target> all_owners{};
  Target told{};    // the owner that the report is about; empty: nobody's
  Sources bring{};  // what waits and what the holders hold
  std::map<Target, Sources> held{};  // by holder, as far as it matters
  std::set<Target> not_only_own{};   // owners that hold others' as well
  bool waits = false;               // a record of those concerned takes not all
  std::set<std::string> waiting{};  // the sources that it did not take
  std::int64_t highest_seen = 0;    // epoch of the place's mark in a record
};

Round round_of(Edited edited) {
  switch (edited) {
    case Edited::done:
      return Round::done;
    case Edited::refused:
      return Round::again;
    case Edited::unreadable:
      return Round::waits;
    case Edited::failed:
      break;
  }
  return Round::failed;
}

std::set<std::string> ids_of(const Sources& sources) {
  std::set<std::string> ids;
  for (const auto& [id, source] : sources) ids.insert(id);
  return ids;
}

// False when the record has seen a later epoch than this round's.
bool in_time(Settling& s, const Record& record) {
  std::int64_t seen = record.seen_epoch(s.id);
  s.highest_seen = std::max(s.highest_seen, seen);
  return seen <= s.place.epoch;
}

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

// Whether anything of this record may have to come or go. What others have is
// theirs and stays so: a write that is late is as right for them as it was.
bool concerns(const Settling& s, const Target& holder) {
  const auto& concerned = s.place.concerned;
  if (!concerned || concerned->contains(holder)) return true;
  bool may_have_nobodys = !s.owners.nobodys.empty() && holder == s.owners.rest;
  return may_have_nobodys || !s.all_owners.contains(holder);
}

// Of an owner of everything only the others matter: what it has, it keeps.
Conversation<Round> gather(Settling& s) {
  s.bring = s.place.sources;
  bool one_owner = s.owners.exceptions.empty();
  for (const Target& holder : s.place.holders) {
    if (one_owner && holder == s.owners.rest) continue;
    if (!concerns(s, holder)) continue;
    auto reading = read_record(s.delivery, *holder.user());
    RecordRead read = co_await reading;
    if (read.found == Found::failed) co_return Round::failed;
    s.waits |= read.found == Found::unreadable;
    Sources& held = s.held[holder] = sources_of(read.record, s.id);
    merge(s.bring, held);
  }
  co_return Round::done;
}

// The holders that lose something to `owner`.
std::vector<Target> losing_to(const Settling& s, const Target& owner) {
  std::vector<Target> losing;
  for (const auto& [holder, held] : s.held) {
    if (holder == owner) continue;
    bool loses = std::any_of(held.begin(), held.end(), [&](const auto& source) {
      return s.owners.of(source.first) == owner;
    });
    if (loses) losing.push_back(holder);
  }
  return losing;
}

// Whether a record has what every owner must have, and this round has not seen
// it: it came straight there while there was but one owner.
bool has_more_for_everybody(const Settling& s, const Sources& here) {
  if (s.owners.exceptions.empty()) return false;
  auto customer = here.find(s.id);
  return customer != here.end() && customer->second.deleted &&
         !includes(s.bring, {*customer});
}

Edit merge_into_owner(Settling& s, const Target& owner, const Sources& share,
                      PlaceReport& report, Added& added, const Record& before,
                      Record& after) {
  if (!in_time(s, before)) return {Edit::Action::refuse};
  Sources own = sources_of(before, s.id);
  if (concerns(s, owner) && has_more_for_everybody(s, own)) {
    return {Edit::Action::refuse};
  }
  if (own.empty() || misplaced(own, s.owners.share(own, s.id, owner)).empty()) {
    s.not_only_own.erase(owner);
  } else {
    s.not_only_own.insert(owner);
  }
  added = add_to(before, after, share, s.id, seconds_of(s.delivery.options));
  report.kept = s.delivery.says(after.sources);
  if (added.room != Room::enough && after.sources == before.sources) {
    return {Edit::Action::leave};
  }
  after.places[s.id].set(s.place.epoch, true);
  auto mark = before.places.find(s.id);
  bool was_live = mark != before.places.end() && mark->second.live;
  bool same = after.sources == before.sources;
  if (same && after.places == before.places) return {Edit::Action::leave};
  return {Edit::Action::write, same && was_live ? "" : "applied"};
}

void wait(Settling& s, std::set<std::string> sources) {
  s.waits = true;
  s.waiting.merge(std::move(sources));
}

// Whether what the event said is among what the record has no room for.
bool event_waits(const Settling& s, const Added& added,
                 const PlaceReport& report) {
  const std::vector<std::string>& said = s.delivery.sources;
  return !report.kept &&
         std::any_of(said.begin(), said.end(), [&](const std::string& id) {
           return added.waiting.contains(id);
         });
}

Conversation<Round> give_to_user(Settling& s, Target owner, Sources share) {
  PlaceReport report;
  Added added;
  Editor editor = [&](const Record& before, Record& after) {
    return merge_into_owner(s, owner, share, report, added, before, after);
  };
  EditReason reason{s.id, losing_to(s, owner)};
  User user = *owner.user();
  auto editing = edit_record(s.delivery, user, editor, reason, report);
  Edited edited = co_await editing;
  if (edited == Edited::unreadable) wait(s, ids_of(share));
  if (edited != Edited::done) co_return round_of(edited);
  if (added.room != Room::enough) wait(s, added.waiting);
  report.user = user;
  // Before the place is written, too: what broke off comes here again, when
  // some of what was to be brought is in the record already.
  Sources of_place = sources_of(report.record, s.id);
  Sources own = s.owners.share(of_place, s.id, owner);
  auto indexing = index_unmatched(s.delivery, user, report, std::move(own));
  Progress progress = co_await indexing;
  if (progress == Progress::failed) co_return Round::failed;
  if (owner != s.told) co_return Round::done;
  if (event_waits(s, added, report)) {
    s.delivery.result.error =
        "record " + s.delivery.options.keys.record(user) + full_of(added.room);
  } else {
    s.report = std::move(report);
  }
  co_return Round::done;
}

// Everything into its owner's record, before any of it leaves another's. Where
// one cannot be read or is full, the others still get theirs.
Conversation<Round> give_to_users(Settling& s) {
  std::set<Target> gaining;
  bool everybody = false;
  for (const auto& [id, source] : s.bring) {
    std::optional<Target> owner = s.owners.of(id);
    if (owner) gaining.insert(*std::move(owner));
    everybody |= id == s.id && source.deleted;
  }
  for (const Target& owner : s.all_owners) {
    bool gains = everybody || gaining.contains(owner) || owner == s.told;
    if (!gains && !concerns(s, owner)) continue;
    Sources share = s.owners.share(s.bring, s.id, owner);
    auto giving = give_to_user(s, owner, std::move(share));
    Round round = co_await giving;
    if (round == Round::again || round == Round::failed) co_return round;
  }
  co_return Round::done;
}

Conversation<Round> give_to_places(Settling& s) {
  if (s.waits) co_return Round::waits;
  PlaceFacts facts{{}, s.place.user_claims(), s.bring, s.place.email};
  if (says_nothing(facts)) co_return Round::done;
  auto giving = deliver_to_places(s.delivery, s.place.forwards(),
                                  std::move(facts), s.report);
  Progress progress = co_await giving;
  co_return progress == Progress::done ? Round::done : Round::failed;
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

Edit remove_foreign(Settling& s, const Target& holder, bool& moved,
                    const Record& before, Record& after) {
  if (!in_time(s, before)) return {Edit::Action::refuse};
  Sources here = sources_of(before, s.id);
  Sources share = s.owners.share(here, s.id, holder);
  Sources leaving = misplaced(here, share);
  after.places[s.id].set(s.place.epoch, s.all_owners.contains(holder));
  bool marked = after.places == before.places;
  bool told = tell_of_waiting(s, after.sources, leaving);
  if (leaving.empty() && marked && !told) return {Edit::Action::leave};
  if (!includes(s.bring, leaving)) return {Edit::Action::refuse};
  for (const auto& [id, source] : leaving) {
    after.sources.erase(id);
    auto mine = share.find(id);
    if (mine != share.end()) after.sources.insert(*mine);
  }
  moved = moves(leaving, share);
  if (moved) return {Edit::Action::write, "moved"};
  return {Edit::Action::write, told ? "applied" : ""};
}

// Where what `holder` held goes.
std::vector<Target> gaining_from(const Settling& s, const Target& holder) {
  std::set<Target> gaining;
  auto held = s.held.find(holder);
  if (held != s.held.end()) {
    for (const auto& [id, source] : held->second) {
      std::optional<Target> owner = s.owners.of(id);
      if (owner && *owner != holder) gaining.insert(*owner);
    }
  }
  if (gaining.empty()) gaining.insert(*s.owners.rest);
  return {gaining.begin(), gaining.end()};
}

// Whether who owns nothing here has something that waits for its owner.
bool stays_behind(const Settling& s, const Target& holder,
                  const Record& record) {
  if (s.all_owners.contains(holder)) return false;
  Sources here = sources_of(record, s.id);
  return std::any_of(here.begin(), here.end(), [&](const auto& source) {
    return s.waiting.contains(source.first);
  });
}

Conversation<Round> empty_holder(Settling& s, Target holder) {
  bool moved = false;
  Editor editor = [&](const Record& before, Record& after) {
    moved = false;
    return remove_foreign(s, holder, moved, before, after);
  };
  PlaceReport report;
  EditReason reason{s.id, {}, gaining_from(s, holder)};
  auto editing =
      edit_record(s.delivery, *holder.user(), editor, reason, report);
  Edited edited = co_await editing;
  if (edited == Edited::done) {
    auto indexing =
        index_unmatched(s.delivery, *holder.user(), report, Sources());
    Progress progress = co_await indexing;
    if (progress == Progress::failed) co_return Round::failed;
  }
  if (edited == Edited::unreadable || stays_behind(s, holder, report.record)) {
    s.waits = true;
    co_return Round::done;
  }
  bool taken = edited == Edited::done && moved;
  if (taken && s.owners.rest->user()) s.delivery.result.owner_changed = true;
  co_return round_of(edited);
}

// Out of the records of those it is not, or no longer. An owner whose record
// held nothing else when it got its share will be given nothing else: that mark
// refuses it.
Conversation<Round> empty_holders(Settling& s) {
  for (const Target& holder : s.place.holders) {
    bool owns = s.all_owners.contains(holder);
    if (owns && !s.not_only_own.contains(holder)) continue;
    if (!concerns(s, holder)) continue;
    auto emptying = empty_holder(s, holder);
    Round round = co_await emptying;
    if (round != Round::done) co_return round;
  }
  co_return Round::done;
}

Round round_of(Commit commit) {
  if (commit == Commit::refused) return Round::failed;
  return commit == Commit::conflict ? Round::again : Round::done;
}

Conversation<Round> finish(Settling& s) {
  auto reading = watch_place(s.delivery, s.id);
  PlaceRead read = co_await reading;
  if (read.progress == Progress::failed) co_return Round::failed;
  const Place& now = read.place;
  bool to_users = s.owners.rest->user().has_value();
  bool moved_on = now.epoch != s.place.epoch || now.owners() != s.owners ||
                  !includes(s.bring, now.sources);
  bool more_to_pass_on =
      !to_users &&
      (now.claims != s.place.claims || now.naming != s.place.naming ||
       now.waiting != s.place.waiting || now.email != s.place.email);
  if (moved_on || more_to_pass_on) co_return Round::again;

  Place after = now;
  std::erase_if(after.sources, [&](const auto& one) {
    return s.owners.of(one.first).has_value();
  });
  for (const Target& emptied : s.place.holders) {
    after.holders.erase(emptied);
  }
  after.concerned.reset();
  after.to = s.owners.rest;
  after.owned = s.owners.exceptions;
  if (to_users) {
    after.holders.insert(s.all_owners.begin(), s.all_owners.end());
  } else {
    merge(after.passed_on, s.bring);
  }
  auto writing = write_place(s.delivery, s.id, now, after);
  Commit commit = co_await writing;
  co_return round_of(commit);
}

// A record knows the place from before it was lost (expired, or Redis forgot).
Conversation<Round> catch_up(Settling& s) {
  auto reading = watch_place(s.delivery, s.id);
  PlaceRead read = co_await reading;
  if (read.progress == Progress::failed) co_return Round::failed;
  Place after = read.place;
  after.epoch = std::max(after.epoch, risen(s.highest_seen));
  after.concerned.reset();
  after.unsettle();
  auto writing = write_place(s.delivery, s.id, read.place, after);
  Commit commit = co_await writing;
  co_return commit == Commit::refused ? Round::failed : Round::again;
}

Conversation<Round> look_at_owner(Settling& s) {
  if (s.told.str().empty()) co_return Round::done;
  std::optional<User> user = s.told.user();
  if (!user) {
    auto looking =
        deliver_to_places(s.delivery, s.place.forwards(), {}, s.report);
    Progress progress = co_await looking;
    co_return progress == Progress::done ? Round::done : Round::failed;
  }
  Editor editor = [&s](const Record& before, Record&) {
    s.report.kept = s.delivery.says(before.sources);
    return Edit{Edit::Action::leave};
  };
  EditReason reason{s.id};
  auto editing = edit_record(s.delivery, *user, editor, reason, s.report);
  Edited edited = co_await editing;
  if (edited == Edited::done) s.report.user = user;
  co_return round_of(edited);
}

// Whoever closed the place before may have taken it off the list.
Conversation<Progress> list_what_waits(Settling& s) {
  bool waits = std::any_of(
      s.place.sources.begin(), s.place.sources.end(),
      [&](const auto& one) { return !s.owners.of(one.first).has_value(); });
  bool may_be_listed = s.may_be_parked && !s.place.settled();
  if (!waits && !may_be_listed) co_return Progress::done;
  auto listing = waits ? list_as_parked(s.delivery, s.id)
                       : unlist_as_parked(s.delivery, s.id);
  Progress progress = co_await listing;
  co_return progress;
}

Conversation<Round> one_round(Settling& s) {
  s.owners = s.place.owners();
  s.all_owners = s.owners.all();
  if (!s.owners.rest) {
    s.delivery.result.error = "the place vanished";
    co_return Round::failed;
  }
  s.told = s.owners.of(s.delivery.about).value_or(Target());
  s.held.clear();
  s.not_only_own.clear();
  s.waits = false;
  s.waiting = {s.owners.nobodys.begin(), s.owners.nobodys.end()};
  s.report = PlaceReport();
  if (s.told.str().empty()) {
    s.delivery.result.error =
        "place " + s.delivery.options.keys.place(s.id) + " is full";
  }
  if (s.place.settled()) {
    auto listing = list_what_waits(s);
    co_await listing;
    auto looking = look_at_owner(s);
    Round round = co_await looking;
    co_return round;
  }
  if (s.place.epoch < s.highest_seen) {
    auto catching_up = catch_up(s);
    Round round = co_await catching_up;
    co_return round;
  }
  auto gathering = gather(s);
  Round round = co_await gathering;
  if (round != Round::done) co_return round;

  bool to_users = s.owners.rest->user().has_value();
  auto giving = to_users ? give_to_users(s) : give_to_places(s);
  round = co_await giving;
  if (round != Round::done) co_return round;

  auto emptying = empty_holders(s);
  round = co_await emptying;
  if (round != Round::done) co_return round;
  if (s.waits) co_return Round::waits;

  // Before the place is written: a crash between both leaves it unsettled, so
  // whoever settles it comes here again.
  auto listing = list_what_waits(s);
  co_await listing;
  if (s.may_be_parked) {
    auto unindexing = unindex(s.delivery, s.id, s.bring);
    co_await unindexing;
  }
  auto finishing = finish(s);
  round = co_await finishing;
  co_return round;
}

Conversation<Progress> read_again(Settling& s) {
  auto reading = watch_place(s.delivery, s.id);
  PlaceRead read = co_await reading;
  s.place = std::move(read.place);
  co_return read.progress;
}

}  // namespace

Conversation<Progress> settle(Delivery& delivery, std::string id, Place place,
                              bool may_be_parked, PlaceReport& report) {
  Settling s{delivery, std::move(id), report, may_be_parked};
  s.place = std::move(place);
  for (;;) {
    auto going = one_round(s);
    Round round = co_await going;
    if (round == Round::done) co_return Progress::done;
    if (round == Round::failed) co_return Progress::failed;
    if (round == Round::waits) {
      auto listing = list_as_parked(delivery, s.id);
      co_await listing;
      co_return Progress::done;
    }
    if (!delivery.redis.try_again()) {
      delivery.result.error = "conflicts did not end";
      co_return Progress::failed;
    }
    s.may_be_parked = true;
    auto reading = read_again(s);
    Progress progress = co_await reading;
    if (progress == Progress::failed) co_return Progress::failed;
  }
}

}  // namespace entitle
