// Bringing all that waits in a place, and all that others hold of it, to its
// owner. Anyone may settle at any time, several at once; what a crash left is
// finished by the next delivery, whichever it is.
//
// Records are fenced by the place's epoch, which rises with every new owner: a
// record refuses what comes from an earlier one.
#include <algorithm>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/delivery/parts.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/claim.h"
#include "core/source/forget.h"
#include "core/source/source.h"

namespace entitle {
namespace {

enum class Round {
  done,
  again,       // something moved on: start again from a fresh read
  unreadable,  // a record cannot be read: everything stays in the place
  failed,
};

struct Settling {
  Delivery& delivery;
  std::string id;
  PlaceReport& report;
  bool may_be_parked;

  Place place{};
  std::string owner{};
  std::vector<std::string> others{};  // holders that are not the owner
  Sources bring{};                    // what waits and what the others hold
  std::int64_t highest_seen = 0;      // epoch of the place's mark in a record
};

Round round_of(Edited edited) {
  switch (edited) {
    case Edited::done:
      return Round::done;
    case Edited::refused:
      return Round::again;
    case Edited::unreadable:
      return Round::unreadable;
    case Edited::failed:
      break;
  }
  return Round::failed;
}

// False when the record has seen a later epoch than this round's.
bool in_time(Settling& s, const Record& record) {
  auto mark = record.places.find(s.id);
  if (mark == record.places.end()) return true;
  s.highest_seen = std::max(s.highest_seen, mark->second.epoch);
  return mark->second.epoch <= s.place.epoch;
}

Conversation<Round> gather(Settling& s) {
  s.bring = s.place.sources;
  s.others.assign(s.place.holders.begin(), s.place.holders.end());
  std::erase(s.others, s.owner);
  for (const std::string& other : s.others) {
    auto reading = read_record(s.delivery, *user_of(other));
    RecordRead read = co_await reading;
    if (read.found == Found::failed) co_return Round::failed;
    if (read.found == Found::unreadable) co_return Round::unreadable;
    merge(s.bring, sources_of(read.record, s.id));
  }
  co_return Round::done;
}

Edit merge_into_owner(Settling& s, const Record& before, Record& after) {
  if (!in_time(s, before)) return {Edit::Action::refuse};
  merge(after.sources, s.bring);
  forget(after.sources, seconds_of(s.delivery.options));
  after.places[s.id].set(s.place.epoch, true);
  s.report.kept = s.delivery.says(after.sources);
  bool same = after.sources == before.sources && after.places == before.places;
  if (same) return {Edit::Action::leave};
  return {Edit::Action::write, "applied"};
}

Conversation<Round> give_to_user(Settling& s, User user) {
  Editor editor = [&s](const Record& before, Record& after) {
    return merge_into_owner(s, before, after);
  };
  EditReason reason{s.id, s.others};
  auto editing = edit_record(s.delivery, user, editor, reason, s.report);
  Edited edited = co_await editing;
  if (edited == Edited::done) s.report.user = user;
  co_return round_of(edited);
}

Conversation<Round> give_to_places(Settling& s) {
  std::vector<Claim> claims = s.place.user_claims();
  if (claims.empty() && s.bring.empty()) co_return Round::done;
  auto giving = deliver_to_places(s.delivery, s.place.forwards(),
                                  std::move(claims), s.bring, s.report);
  Progress progress = co_await giving;
  co_return progress == Progress::done ? Round::done : Round::failed;
}

Edit remove_from_other(Settling& s, const Record& before, Record& after) {
  if (!in_time(s, before)) return {Edit::Action::refuse};
  PlaceMark& gone = after.places[s.id];
  gone.set(s.place.epoch, false);
  auto mark = before.places.find(s.id);
  if (mark != before.places.end() && mark->second == gone) {
    return {Edit::Action::leave};
  }
  Sources leaving = sources_of(before, s.id);
  if (!includes(s.bring, leaving)) return {Edit::Action::refuse};
  for (const auto& [id, source] : leaving) after.sources.erase(id);
  return {Edit::Action::write, "moved"};
}

Conversation<Round> empty_others(Settling& s) {
  Editor editor = [&s](const Record& before, Record& after) {
    return remove_from_other(s, before, after);
  };
  for (const std::string& other : s.others) {
    PlaceReport unused;
    EditReason reason{s.id, {}, s.owner};
    auto editing =
        edit_record(s.delivery, *user_of(other), editor, reason, unused);
    Edited edited = co_await editing;
    if (edited != Edited::done) co_return round_of(edited);
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
  bool to_user = user_of(s.owner).has_value();
  bool moved_on = now.epoch != s.place.epoch ||
                  (!to_user && now.claims != s.place.claims) ||
                  !includes(s.bring, now.sources);
  if (moved_on) co_return Round::again;

  Place after = now;
  after.sources.clear();
  after.holders.clear();
  after.to = s.owner;
  if (to_user) {
    after.holders.insert(s.owner);
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
  after.epoch = std::max(after.epoch, s.highest_seen + 1);
  auto writing = write_place(s.delivery, s.id, read.place, after);
  Commit commit = co_await writing;
  co_return commit == Commit::refused ? Round::failed : Round::again;
}

Conversation<Round> look_at_owner(Settling& s) {
  std::optional<User> user = user_of(s.owner);
  if (!user) {
    auto looking =
        deliver_to_places(s.delivery, s.place.forwards(), {}, {}, s.report);
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

Conversation<Round> one_round(Settling& s) {
  std::optional<std::string> owner = s.place.owner();
  if (!owner) {
    s.delivery.result.error = "the place vanished";
    co_return Round::failed;
  }
  s.owner = *std::move(owner);
  s.report = PlaceReport();
  if (s.place.settled()) {
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

  std::optional<User> user = user_of(s.owner);
  auto giving = user ? give_to_user(s, *user) : give_to_places(s);
  round = co_await giving;
  if (round != Round::done) co_return round;

  auto emptying = empty_others(s);
  round = co_await emptying;
  if (round != Round::done) co_return round;

  if (s.may_be_parked) {
    // Before the place is written: a crash between both leaves it unsettled,
    // so whoever settles it comes here again.
    auto listing = list_as_parked(s.delivery, s.id, false);
    co_await listing;
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
    if (round == Round::unreadable) {
      auto listing = list_as_parked(delivery, s.id, true);
      co_await listing;
      report.user.reset();
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
