#include "core/delivery/at_once.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/access/projection.h"
#include "core/delivery/at_once_plan.h"
#include "core/delivery/ignored.h"
#include "core/delivery/likely_owners.h"
#include "core/delivery/options.h"
#include "core/delivery/place_rules.h"
#include "core/delivery/unmatched.h"
#include "core/record/keys.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"

namespace entitle {
namespace {

using at_once::PlaceEdit;
using at_once::Plan;
using at_once::Writes;

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

Conversation<Attempt> attempt(Plan& plan) {
  auto reading = read_all(plan);
  bool read = co_await reading;
  if (!read) co_return unread(plan);
  if (!plan_parts(plan)) co_return Attempt::no;
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
