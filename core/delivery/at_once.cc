#include "core/delivery/at_once.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/access/projection.h"
#include "core/delivery/conclude.h"
#include "core/delivery/ignored.h"
#include "core/delivery/likely_owners.h"
#include "core/delivery/listed.h"
#include "core/delivery/lookup.h"
#include "core/delivery/options.h"
#include "core/delivery/place_rules.h"
#include "core/delivery/room.h"
#include "core/delivery/unmatched.h"
#include "core/delivery/writes.h"
#include "core/record/keys.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"

namespace entitle {
namespace {

// One place of the event, as it was read and as it shall be.
struct PlaceEdit {
  PlaceFacts facts;
  Place before{};
  Place after{};
};

struct Plan {
  Delivery& delivery;
  const Facts& facts;
  std::vector<PlaceEdit> parts{};  // that only learn what they are part of
  PlaceEdit own{};
  std::optional<User> guess{};  // whose record was read along
  bool settles = false;         // own.before was not settled, own.after is
  Record record{};
  PlaceReport report{};
  Edit edit{Edit::Action::leave};
  Indexing indexing{};
  Target indexed{};  // what stands before the bar there
};

// What is written, and how much of that must be.
struct Writes {
  std::vector<Command> commands{};
  std::vector<std::pair<std::size_t, const char*>> lookups{};  // from there on
  std::size_t log = 0;     // the first of the log's
  std::size_t others = 0;  // the first of the lists'
  RecordWrite record{};

  void append(std::vector<Command> more) {
    std::move(more.begin(), more.end(), std::back_inserter(commands));
  }
};

std::optional<User> named_by(const PlaceFacts& own, const std::string& about) {
  const Claim* named = nullptr;
  for (const Claim& claim : own.claims) {
    if (claim.kind == ClaimKind::forward || !claim.target.user()) continue;
    if (named == nullptr || claim.source == about) named = &claim;
  }
  if (named == nullptr) return std::nullopt;
  return named->target.user();
}

// --- what there is ----------------------------------------------------------

std::vector<std::string> keys_of(const Plan& plan) {
  const Keys& keys = plan.delivery.options.keys;
  std::vector<std::string> all;
  for (const PlaceEdit& part : plan.parts) {
    all.push_back(keys.place(part.facts.place));
  }
  all.push_back(keys.place(plan.own.facts.place));
  if (plan.guess) all.push_back(keys.record(*plan.guess));
  return all;
}

bool read_place(PlaceEdit& edit, const Reply& reply) {
  std::optional<Place> place = Place::decode(reply);
  if (!place) return false;
  edit.before = *std::move(place);
  edit.after = edit.before;
  take_claims(edit.after, edit.facts.claims);
  edit.after.take(edit.facts.email);
  return true;
}

bool read_record(Plan& plan, const Reply& reply) {
  std::optional<Record> record = Record::decode(reply);
  if (!record) return false;
  plan.record = *std::move(record);
  return true;
}

// What is too big to be read takes the connection with it (redis_client): there
// is nothing to ask the protocol over, and nothing that it could do.
bool is_too_big(const Reply& reply) {
  return reply.is_error() && reply.text.starts_with("TOOBIG");
}

// False: something cannot be read.
Conversation<bool> read_all(Plan& plan) {
  Delivery& delivery = plan.delivery;
  std::vector<std::string> keys = keys_of(plan);
  std::vector<std::string> names =
      names_to_ask_along(delivery, plan.own.facts.sources);
  const std::size_t expected = keys.size();
  auto reading = delivery.redis.watch_all(
      std::move(keys), to_ask_ignored(delivery.options.keys.ignored(), names));
  std::vector<Reply> replies = co_await reading;
  if (is_too_big(replies.front())) delivery.result.error = replies.front().text;
  if (replies.size() != expected + names.size()) co_return false;
  delivery.asked.names = {names.begin(), names.end()};
  delivery.asked.ignored =
      ignored_in(std::move(names), std::span(replies).subspan(expected));
  auto reply = replies.begin();
  for (PlaceEdit& part : plan.parts) {
    if (!read_place(part, *reply++)) co_return false;
  }
  if (!read_place(plan.own, *reply++)) co_return false;
  co_return !plan.guess || read_record(plan, *reply);
}

// Another's than was thought.
Conversation<bool> read_owners(Plan& plan, User owner) {
  plan.guess = owner;
  auto reading =
      plan.delivery.redis.watch_too(plan.delivery.options.keys.record(owner));
  Reply reply = co_await reading;
  if (is_too_big(reply)) plan.delivery.result.error = reply.text;
  co_return read_record(plan, reply);
}

// --- what shall be ----------------------------------------------------------

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

// Nobody's, so far.
bool plan_waiting(Plan& plan) {
  PlaceEdit& own = plan.own;
  if (!own.before.holders.empty() || own.before.to) return false;
  plan.report.known = plan.delivery.says(own.before.sources);
  take_facts(own.after, own.facts.sources, own.before);
  if (own.after.owner()) return false;
  plan.indexed = Target::of_place(own.facts.place);
  return true;
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

// False: it takes the protocol.
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

// --- what is written --------------------------------------------------------

void write_place(Writes& writes, const Delivery& delivery,
                 const PlaceEdit& edit) {
  const DeliveryOptions& options = delivery.options;
  const std::string& id = edit.facts.place;
  std::vector<Command> commands =
      place_commands(options.keys, id, edit.before, edit.after);
  if (commands.empty() && edit.before.exists) {
    // As write_place() of the protocol.
    if (!is_customer(id)) {
      commands.push_back(keep_place(options.keys, id));
    } else if (options.touch_duplicates) {
      commands.push_back({"HSET", options.keys.place(id), "epoch",
                          std::to_string(edit.after.epoch)});
    }
  }
  writes.append(std::move(commands));
}

// What the record comes to; and its commands, of which the log's come last.
std::vector<Command> write_owners(Writes& writes, Plan& plan) {
  const DeliveryOptions& options = plan.delivery.options;
  PlaceReport& report = plan.report;
  RecordCause cause{plan.delivery.event, plan.own.facts.place,
                    plan.edit.logged_as};
  writes.record =
      write_record(options, *report.user, plan.record, report.record, cause);
  report.before = writes.record.before;
  report.after = writes.record.after;
  bool write = plan.edit.action == Edit::Action::write ||
               (plan.record.exists && options.touch_duplicates);
  if (!write) return {};
  report.record.version = writes.record.version;
  report.record.exists = true;
  std::vector<Command>& commands = writes.record.commands;
  auto log =
      commands.end() - static_cast<std::ptrdiff_t>(writes.record.for_log);
  std::vector<Command> for_log(std::make_move_iterator(log),
                               std::make_move_iterator(commands.end()));
  commands.erase(log, commands.end());
  writes.append(std::move(commands));
  return for_log;
}

// The lists that the place is on, or shall be: of parked ones, and the index.
void write_lists(Writes& writes, const Plan& plan, bool park) {
  const DeliveryOptions& options = plan.delivery.options;
  const PlaceEdit& own = plan.own;
  const std::string parked = options.keys.parked();
  Members unlisted;
  for (const PlaceEdit& part : plan.parts) {
    if (part.before.exists) unlisted.insert(part.facts.place);
  }
  bool repeated =
      plan.report.known || !plan.delivery.speaks_of(own.facts.sources);
  bool has_all = plan.report.user && own.after.sources.empty();
  if (own.before.exists && has_all && (plan.settles || repeated)) {
    unlisted.insert(own.facts.place);
    Members waited;
    const Target as_place = Target::of_place(own.facts.place);
    for (const Sources* some : {&own.facts.sources, &own.before.sources}) {
      for (const auto& [id, source] : *some) {
        waited.insert(unmatched_member(as_place, id));
      }
    }
    writes.append(to_take_off(options.keys.unmatched(), waited));
  }
  writes.append(to_take_off(parked, unlisted));
  if (park) {
    writes.append(to_put_on(parked, {own.facts.place}, seconds_of(options)));
  }
  writes.append(index_writes(options, plan.indexed, plan.indexing));
}

Writes all_writes(Plan& plan, bool park) {
  Writes writes;
  std::vector<Command> for_log;
  for (const PlaceEdit& part : plan.parts) {
    write_place(writes, plan.delivery, part);
  }
  write_place(writes, plan.delivery, plan.own);
  if (plan.report.user) for_log = write_owners(writes, plan);
  conclude(plan.delivery, plan.facts, plan.report);
  std::vector<LookupWrite> lookups =
      lookup_writes(plan.delivery, plan.facts, plan.report);
  for (LookupWrite& lookup : lookups) {
    if (lookup.needed == nullptr) continue;
    writes.lookups.emplace_back(writes.commands.size(), lookup.needed);
    writes.append(std::move(lookup.commands));
  }
  writes.log = writes.commands.size();
  writes.append(std::move(for_log));
  writes.others = writes.commands.size();
  write_lists(writes, plan, park);
  for (LookupWrite& lookup : lookups) {
    if (lookup.needed == nullptr) writes.append(std::move(lookup.commands));
  }
  return writes;
}

// In the words of whoever writes these alone.
std::string said_of(const Plan& plan, const Writes& writes,
                    const CommitReply& reply) {
  if (reply.status == Commit::committed && reply.at < writes.others) {
    return "log " + plan.delivery.options.keys.log(*plan.report.user) +
           " cannot be written: " + reply.error;
  }
  if (reply.status == Commit::committed) {
    return "the lists of what waits or opens nothing were not written: " +
           reply.error;
  }
  std::string said;
  for (const auto& [from, name] : writes.lookups) {
    if (reply.at >= from) said = std::string(name) + ": ";
  }
  return said + reply.error;
}

// --- all of it --------------------------------------------------------------

// What an operator ignores is neither parked nor in the index. True: the place
// is to be parked.
Conversation<bool> ask_what_is_ignored(Plan& plan) {
  Delivery& delivery = plan.delivery;
  const bool has_owner = plan.report.user.has_value();
  const Sources& sources =
      has_owner ? plan.report.record.sources : plan.own.after.sources;
  SourceIds paid;
  if (has_owner) {
    Sources also;
    if (plan.settles) {
      also = sources_of(plan.report.record, plan.own.facts.place);
    }
    plan.indexing = to_index(delivery, plan.report, also);
  } else if (is_paid_for(sources)) {
    paid = paid_for(sources);
    plan.indexing.in = opening_nothing(sources, {&delivery.options, 1});
    plan.indexing.concerned =
        opening_nothing(plan.own.before.sources, {&delivery.options, 1});
    plan.indexing.concerned.insert(plan.indexing.in.begin(),
                                   plan.indexing.in.end());
  }
  delivery.elsewhere =
      owned_elsewhere(sources, plan.indexing.in, plan.own.facts.place,
                      plan.own.after, plan.indexed);
  for (const std::string& id : delivery.elsewhere) plan.indexing.in.erase(id);
  SourceIds ids = paid;
  ids.insert(plan.indexing.in.begin(), plan.indexing.in.end());
  if (ids.empty()) co_return false;
  auto asking =
      ignored_of(delivery, sources, std::move(ids), {&delivery.options, 1});
  SourceIds ignored = co_await asking;
  plan.report.ignored =
      !paid.empty() &&
      std::includes(ignored.begin(), ignored.end(), paid.begin(), paid.end());
  for (const std::string& id : ignored) plan.indexing.in.erase(id);
  if (plan.report.ignored) plan.indexing = {};
  co_return !paid.empty() && !plan.report.ignored;
}

enum class Attempt { done, again, no, failed };

Attempt unread(const Plan& plan) {
  return plan.delivery.result.error.empty() ? Attempt::no : Attempt::failed;
}

// Whether an earlier attempt told the other places of this and not its own: it
// may have listed one that was settled meanwhile, which the protocol looks at.
bool broke_off(const Plan& plan) {
  return !plan.report.known &&
         std::any_of(plan.parts.begin(), plan.parts.end(),
                     [](const PlaceEdit& part) {
                       return has_any(part.before, part.facts.claims);
                     });
}

Conversation<Attempt> attempt(Plan& plan) {
  auto reading = read_all(plan);
  bool read = co_await reading;
  if (!read) co_return unread(plan);
  for (PlaceEdit& part : plan.parts) {
    if (!plan_part(part)) co_return Attempt::no;
  }
  std::optional<Target> owner =
      sole_owner(plan.own.after.owners(), plan.own.facts);
  bool planned = false;
  if (!owner) {
    planned = plan_waiting(plan);
  } else if (owner->user()) {
    if (owner->user() != plan.guess) {
      auto looking = read_owners(plan, *owner->user());
      bool found = co_await looking;
      if (!found) co_return unread(plan);
    }
    planned = plan_owned(plan, *owner);
  }
  if (!planned || broke_off(plan)) co_return Attempt::no;

  auto asking = ask_what_is_ignored(plan);
  bool park = co_await asking;
  report_on_place(plan);
  Writes writes = all_writes(plan, park);
  if (writes.commands.empty()) co_return Attempt::done;
  std::size_t dispensable = writes.commands.size() - writes.log;
  auto committing = plan.delivery.redis.commit(
      plan.delivery.options.keys.place(plan.own.facts.place),
      std::move(writes.commands), dispensable);
  CommitReply reply = co_await committing;
  if (reply.status == Commit::conflict) co_return Attempt::again;
  // Somebody between us and several servers.
  if (reply.error.starts_with("CROSSSLOT")) co_return Attempt::no;
  if (!reply.error.empty()) {
    plan.delivery.result.error = said_of(plan, writes, reply);
    plan.delivery.result.list_failed =
        reply.status == Commit::committed && reply.at >= writes.others;
  }
  co_return reply.status == Commit::committed ? Attempt::done : Attempt::failed;
}

void note_owner(const Plan& plan) {
  const DeliveryOptions& options = plan.delivery.options;
  if (options.likely == nullptr || !plan.report.user) return;
  options.likely->note(options.keys.place(plan.own.facts.place),
                       *plan.report.user);
}

// False: it says nothing to its own place.
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

}  // namespace

Conversation<AtOnce> deliver_at_once(Delivery& delivery, const Facts& facts) {
  const DeliveryResult nothing = delivery.result;
  for (;;) {
    Plan plan{delivery, facts};
    if (!begin(plan)) co_return AtOnce::no;
    auto attempting = attempt(plan);
    Attempt how = co_await attempting;
    if (how == Attempt::done) {
      note_owner(plan);
      co_return AtOnce::done;
    }
    if (how == Attempt::failed) co_return AtOnce::failed;
    delivery.result = nothing;
    delivery.ignored.clear();
    delivery.elsewhere.clear();
    delivery.asked = {};
    if (how == Attempt::no) co_return AtOnce::no;
    if (!delivery.redis.try_again()) {
      delivery.result.error = "conflicts did not end";
      co_return AtOnce::failed;
    }
  }
}

}  // namespace entitle
