// What an event says to one place: straight on to where the place's facts go,
// or first into the place itself.
#include <algorithm>

#include "core/access/projection.h"
#include "core/base/rising.h"
#include "core/base/types.h"
#include "core/delivery/listed.h"
#include "core/delivery/options.h"
#include "core/delivery/parts.h"
#include "core/delivery/place_rules.h"
#include "core/delivery/room.h"
#include "core/delivery/unmatched.h"
#include "core/record/keys.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"

namespace entitle {
namespace {

// What a user's record says when facts come straight to it.
enum class Straight {
  done,
  not_live,  // the record should be live for the place, and is not
  moved,     // the place has moved on: read it again
  failed,
};

Conversation<Straight> straight_to_user(Delivery& delivery,
                                        const PlaceFacts& facts, User user,
                                        std::int64_t epoch, PlaceReport& report,
                                        std::int64_t& seen) {
  Refusal refusal;
  Editor editor = [&](const Record& before, Record& after) {
    return merge_if_live(delivery, facts, epoch, before, after, report,
                         refusal);
  };
  EditReason reason{facts.place};
  auto editing = edit_record(delivery, user, editor, reason, report);
  Edited edited = co_await editing;
  switch (edited) {
    case Edited::done: {
      report.user = user;
      auto indexing = index_unmatched(delivery, user, report, {});
      Progress progress = co_await indexing;
      co_return progress == Progress::done ? Straight::done : Straight::failed;
    }
    case Edited::refused:
      seen = std::max(seen, refusal.seen);
      co_return refusal.not_live ? Straight::not_live : Straight::moved;
    case Edited::unreadable:
      co_return facts.sources.empty() ? Straight::done : Straight::not_live;
    case Edited::failed:
      break;
  }
  co_return Straight::failed;
}

Conversation<Straight> straight_on(Delivery& delivery, const PlaceFacts& facts,
                                   const Place& place, Target owner,
                                   PlaceReport& report, std::int64_t& seen,
                                   bool repeated) {
  std::optional<User> user = owner.user();
  if (user) {
    auto going =
        straight_to_user(delivery, facts, *user, place.epoch, report, seen);
    Straight result = co_await going;
    co_return result;
  }
  // What belongs to what never changes, so there is nothing to check; and what
  // the place passed on it has kept.
  PlaceFacts passed{{}, {}, facts.sources, facts.email};
  for (const Claim& claim : facts.claims) {
    if (claim.kind != ClaimKind::forward) passed.claims.push_back(claim);
  }
  // An earlier attempt may have broken off when it had just listed one of them:
  // it is looked at, and taken off if it has an owner.
  if (says_nothing(passed) && !repeated) co_return Straight::done;
  auto going =
      deliver_to_places(delivery, place.forwards(), std::move(passed), report);
  Progress progress = co_await going;
  co_return progress == Progress::done ? Straight::done : Straight::failed;
}

// In whose records anything the event speaks of may be.
std::vector<Target> may_hold(const Delivery& delivery, const Place& place,
                             const Owners& owners) {
  std::vector<Target> holders(place.holders.begin(), place.holders.end());
  bool is_settled = place.settled();
  if (!is_settled && !place.concerned) return holders;
  std::erase_if(holders, [&](const Target& holder) {
    if (!is_settled && place.concerned->contains(holder)) return false;
    return std::none_of(
        delivery.sources.begin(), delivery.sources.end(),
        [&](const std::string& id) { return owners.of(id) == holder; });
  });
  return holders;
}

// Whether a record that may hold the place's facts knows the event. Facts move
// into their owner's record before they leave another's, so that one is read
// last.
Conversation<Progress> find_in_holders(Delivery& delivery, const Place& place,
                                       bool& known) {
  const Owners owners = place.owners();
  std::optional<Target> owner = owners.of(delivery.about);
  std::vector<Target> holders = may_hold(delivery, place, owners);
  std::stable_partition(holders.begin(), holders.end(),
                        [&](const Target& holder) { return holder != owner; });
  for (const Target& holder : holders) {
    if (known) break;
    auto reading = read_record(delivery, *holder.user());
    RecordRead read = co_await reading;
    if (read.found == Found::failed) co_return Progress::failed;
    known = delivery.says(read.record.sources);
  }
  co_return Progress::done;
}

// Everything into the place, durably, before any of it goes further.
Conversation<Commit> keep_in_place(Delivery& delivery, const PlaceFacts& facts,
                                   const Place& before, Place& after,
                                   bool& known) {
  known = delivery.says(before.sources);
  auto finding = find_in_holders(delivery, before, known);
  Progress found = co_await finding;
  if (found == Progress::failed) co_return Commit::refused;

  take_facts(after, facts.sources, before);
  auto writing = write_place(delivery, facts.place, before, after);
  Commit commit = co_await writing;
  if (commit == Commit::committed && conflicting(before, after)) {
    delivery.result.owner_changed = true;
  }
  co_return commit;
}

// Lists a place that holds what was paid for and is nobody's. It may have
// become somebody's meanwhile, and whoever settled it have come too early to
// find it on the list: then it is taken off again, and `place` is as it is now.
Conversation<Progress> park(Delivery& delivery, std::string id, Place& place) {
  auto listing = list_as_parked(delivery, id);
  co_await listing;
  Sources waiting = place.sources;
  auto indexing = index_unmatched(delivery, id, waiting);
  co_await indexing;
  auto reading = watch_place(delivery, id);
  PlaceRead read = co_await reading;
  if (read.progress == Progress::failed) co_return Progress::failed;
  place = std::move(read.place);
  if (place.owner()) {
    auto unlisting = unlist_as_parked(delivery, id);
    co_await unlisting;
    auto unindexing = unindex(delivery, id, waiting);
    co_await unindexing;
  }
  co_return Progress::done;
}

// A settled place keeps only what it must know to settle again; the facts go
// on.
Conversation<Straight> through_settled(Delivery& delivery,
                                       const PlaceFacts& facts,
                                       const Place& before, Place& after,
                                       Target owner, PlaceReport& report,
                                       std::int64_t& seen) {
  if (!owner.user()) merge(after.passed_on, facts.sources);
  // What an earlier attempt wrote here may be in this Redis only.
  bool repeated = has_any(before, facts.claims);
  bool to_vouch_for = delivery.options.touch_duplicates && repeated;
  // Of what expires each event says that it is still needed.
  bool expires = !is_customer(facts.place);
  if (learned(before, after) || to_vouch_for || expires) {
    auto writing = write_place(delivery, facts.place, before, after);
    Commit commit = co_await writing;
    if (commit == Commit::refused) co_return Straight::failed;
    if (commit == Commit::conflict) co_return Straight::moved;
  }
  auto going = straight_on(delivery, facts, after, std::move(owner), report,
                           seen, repeated);
  Straight result = co_await going;
  // An earlier attempt may have broken off when it had just listed the place.
  // It is told by what it said; where that is not among these facts, by
  // nothing.
  bool may_be_repeated = report.known || !delivery.speaks_of(facts.sources);
  if (result == Straight::done && may_be_repeated) {
    auto unlisting = unlist_as_parked(delivery, facts.place);
    co_await unlisting;
    auto unindexing = unindex(delivery, facts.place, facts.sources);
    co_await unindexing;
  }
  co_return result;
}

// First into the place, then to its owner, or on the list of what has none.
Conversation<Commit> keep_and_settle(Delivery& delivery,
                                     const PlaceFacts& facts,
                                     const Place& before, Place& after,
                                     bool& known, PlaceReport& report) {
  auto keeping = keep_in_place(delivery, facts, before, after, known);
  Commit commit = co_await keeping;
  if (commit != Commit::committed) co_return commit;
  if (!after.owner() && is_paid_for(after.sources)) {
    auto asking =
        ignores_all_paid_for(delivery, after.sources, {&delivery.options, 1});
    report.ignored = co_await asking;
  }
  if (!after.owner() && !report.ignored && is_paid_for(after.sources)) {
    auto parking = park(delivery, facts.place, after);
    Progress progress = co_await parking;
    if (progress == Progress::failed) co_return Commit::refused;
  }
  if (after.owner()) {
    auto settling = settle(delivery, facts.place, after, before.exists, report);
    Progress progress = co_await settling;
    if (progress == Progress::failed) co_return Commit::refused;
  }
  co_return Commit::committed;
}

}  // namespace

bool says_nothing(const PlaceFacts& facts) {
  return facts.claims.empty() && facts.sources.empty() && !facts.email;
}

Conversation<Progress> list_as_parked(Delivery& delivery, std::string id) {
  auto listing = put_on(delivery, delivery.options.keys.parked(), {id});
  std::string error = co_await listing;
  if (!error.empty()) {
    delivery.result.list_failed = true;
    delivery.result.error =
        "the list of what is parked was not written: " + error;
  }
  co_return Progress::done;
}

Conversation<Progress> unlist_as_parked(Delivery& delivery, std::string id) {
  std::string list = delivery.options.keys.parked();
  std::vector<Command> commands;
  commands.push_back({"ZREM", list, std::move(id)});
  auto unlisting = delivery.redis.send(std::move(list), std::move(commands));
  co_await unlisting;
  co_return Progress::done;
}

Conversation<PlaceRead> watch_place(Delivery& delivery, std::string id) {
  std::string key = delivery.options.keys.place(id);
  for (;;) {
    auto reading = delivery.redis.watch(key);
    Reply reply = co_await reading;
    if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
      delivery.result.error = reply.text;
      co_return PlaceRead{Progress::failed, {}};
    }
    std::optional<Place> place = Place::decode(reply);
    if (place) co_return PlaceRead{Progress::done, *std::move(place)};

    auto moving = move_to_quarantine(delivery, key);
    Commit moved = co_await moving;
    bool stuck = moved == Commit::refused || !delivery.redis.try_again();
    if (stuck) co_return PlaceRead{Progress::failed, {}};
  }
}

Conversation<Commit> write_place(Delivery& delivery, std::string id,
                                 Place before, Place after) {
  std::string key = delivery.options.keys.place(id);
  std::vector<Command> commands =
      place_commands(delivery.options.keys, id, before, after);
  if (commands.empty()) {
    if (!before.exists) co_return Commit::committed;
    if (!is_customer(id)) {
      commands.push_back(keep_place(delivery.options.keys, id));
    } else if (delivery.options.touch_duplicates) {
      commands.push_back({"HSET", key, "epoch", std::to_string(after.epoch)});
    } else {
      co_return Commit::committed;
    }
  }
  auto committing = delivery.redis.commit(key, std::move(commands));
  CommitReply reply = co_await committing;
  if (reply.status == Commit::refused) delivery.result.error = reply.error;
  co_return reply.status;
}

Conversation<Progress> deliver_to_places(Delivery& delivery,
                                         std::vector<std::string> to,
                                         PlaceFacts facts,
                                         PlaceReport& report) {
  for (const std::string& id : to) {
    PlaceReport one;
    facts.place = id;
    auto delivering = deliver_to_place(delivery, facts, one);
    Progress progress = co_await delivering;
    if (progress == Progress::failed) co_return Progress::failed;
    bool better = !report.user;
    if (better) report = std::move(one);
  }
  co_return Progress::done;
}

Conversation<Progress> deliver_to_place(Delivery& delivery, PlaceFacts facts,
                                        PlaceReport& report) {
  facts = acceptable(std::move(facts));
  bool straight = true;
  std::int64_t seen = 0;  // the latest epoch of this place in a record
  for (bool first = true;; first = false) {
    if (!first && !delivery.redis.try_again()) {
      delivery.result.error = "conflicts did not end";
      co_return Progress::failed;
    }
    auto reading = watch_place(delivery, facts.place);
    PlaceRead read = co_await reading;
    if (read.progress == Progress::failed) co_return Progress::failed;
    const Place& before = read.place;
    Place after = before;
    take_claims(after, facts.claims);
    after.take(facts.email);
    bool claims_known = has_any(before, facts.claims);
    bool claims_kept = has_any(after, facts.claims);
    bool known = false;
    if (before.epoch < seen) {
      // Its last writes were lost: what it says is not what the records know.
      after.epoch = risen(seen);
      straight = false;
    }

    std::optional<Target> owner = sole_owner(after.owners(), facts);
    if (straight && owner && after.settled()) {
      auto going =
          through_settled(delivery, facts, before, after, *owner, report, seen);
      Straight result = co_await going;
      if (result == Straight::failed) co_return Progress::failed;
      if (result == Straight::not_live) straight = false;
      if (result != Straight::done) continue;
      known = report.known;
    } else {
      auto keeping =
          keep_and_settle(delivery, facts, before, after, known, report);
      Commit commit = co_await keeping;
      if (commit == Commit::refused) co_return Progress::failed;
      if (commit == Commit::conflict) continue;
    }
    report.known = delivery.sources.empty() ? claims_known : known;
    if (delivery.sources.empty()) report.kept = claims_kept;
    if (before.email) report.email_was = before.email->text;
    if (after.email) report.email_is = after.email->text;
    report.by_older_email = after.owner_by_older_email();
    co_return Progress::done;
  }
}

}  // namespace entitle
