// Bringing all that waits in a place, and all that others hold of it, to its
// owners. Anyone may settle at any time, several at once; what a crash left is
// finished by the next delivery, whichever it is.
//
// Records are fenced by the place's epoch, which rises when any source's owner
// changes: a record refuses what comes from an earlier one. Four fences, each
// needed (interleaving_property_test.cc fails without any of them): a write
// straight into a record (merge_if_live), merging (merge_into_owner), removing
// (remove_foreign) and closing the place (has_moved_on) all refuse what has
// moved on.
//
// What a change of owners does not concern keeps its epoch (Place::concerned):
// whoever is late there writes to whom it belongs all the same.
//
// A record keeps the marks of a few places, and of all others a floor: the
// greatest epoch of any mark it dropped. Whoever comes with less may be late,
// and gives the place a higher epoch before it goes on.
#include <algorithm>
#include <string>
#include <utility>

#include "core/base/rising.h"
#include "core/delivery/options.h"
#include "core/delivery/parts.h"
#include "core/delivery/room.h"
#include "core/delivery/settling.h"
#include "core/delivery/unmatched.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/source.h"

namespace entitle {
namespace {

enum class Round {
  done,
  again,  // something moved on: start again from a fresh read
  waits,  // a record cannot be read or is full: all stays in the place
  failed,
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

// Of an owner of everything only the others matter: what it has, it keeps.
Conversation<Round> gather(Settling& s) {
  s.bring = s.place.sources;
  bool one_owner = s.owners.exceptions.empty();
  for (const Target& holder : s.place.holders) {
    if (one_owner && holder == s.owners.rest) continue;
    if (!s.concerns(holder)) continue;
    auto reading = read_record(s.delivery, *holder.user());
    RecordRead read = co_await reading;
    if (read.found == Found::failed) co_return Round::failed;
    s.waits |= read.found == Found::unreadable;
    Sources& held = s.held[holder] = sources_of(read.record, s.id);
    merge(s.bring, held);
  }
  co_return Round::done;
}

Conversation<Round> give_to_user(Settling& s, Target owner, Sources share) {
  PlaceReport report;
  Added added;
  Editor editor = [&](const Record& before, Record& after) {
    return s.merge_into_owner(owner, share, report, added, before, after);
  };
  EditReason reason{s.id, s.losing_to(owner)};
  User user = *owner.user();
  auto editing = edit_record(s.delivery, user, editor, reason, report);
  Edited edited = co_await editing;
  if (edited == Edited::unreadable) s.wait(share);
  if (edited != Edited::done) co_return round_of(edited);
  if (added.room != Room::enough) s.wait(added.waiting);
  report.user = user;
  // Before the place is written, too: what broke off comes here again, when
  // some of what was to be brought is in the record already.
  Sources of_place = sources_of(report.record, s.id);
  Sources own = s.owners.share(of_place, s.id, owner);
  auto indexing = index_unmatched(s.delivery, user, report, std::move(own));
  Progress progress = co_await indexing;
  if (progress == Progress::failed) co_return Round::failed;
  if (owner != s.told) co_return Round::done;
  if (s.event_waits(added, report)) {
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
  for (const Target& owner : s.gaining()) {
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

Conversation<Round> empty_holder(Settling& s, Target holder) {
  bool moved = false;
  Editor editor = [&](const Record& before, Record& after) {
    moved = false;
    return s.remove_foreign(holder, moved, before, after);
  };
  PlaceReport report;
  EditReason reason{s.id, {}, s.gaining_from(holder)};
  auto editing =
      edit_record(s.delivery, *holder.user(), editor, reason, report);
  Edited edited = co_await editing;
  if (edited == Edited::done) {
    auto indexing =
        index_unmatched(s.delivery, *holder.user(), report, Sources());
    Progress progress = co_await indexing;
    if (progress == Progress::failed) co_return Round::failed;
  }
  if (edited == Edited::unreadable || s.stays_behind(holder, report.record)) {
    s.waits = true;
    co_return Round::done;
  }
  bool taken = edited == Edited::done && moved;
  if (taken && s.owners.rest->user()) s.delivery.result.owner_changed = true;
  co_return round_of(edited);
}

// Out of the records of those it is not, or no longer.
Conversation<Round> empty_holders(Settling& s) {
  for (const Target& holder : s.to_empty()) {
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
  if (s.has_moved_on(now)) co_return Round::again;
  auto writing = write_place(s.delivery, s.id, now, s.closed(now));
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
  s.begin_round();
  if (!s.owners.rest) {
    s.delivery.result.error = "the place vanished";
    co_return Round::failed;
  }
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

  auto giving = s.to_users() ? give_to_users(s) : give_to_places(s);
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
