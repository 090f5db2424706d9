#include "core/delivery/unmatched.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "core/access/access.h"
#include "core/access/grants.h"
#include "core/base/types.h"
#include "core/delivery/ignored.h"
#include "core/delivery/listed.h"
#include "core/delivery/lookup.h"
#include "core/record/keys.h"
#include "core/record/place.h"
#include "core/source/resolve.h"
#include "core/source/stripe_id.h"

namespace entitle {
namespace {

using Ids = SourceIds;

// Effective, or it will be by itself.
bool is_bought(const Projection& projection, const DeliveryOptions& options) {
  Verdict verdict = judge(projection, options.policy, seconds_of(options));
  return verdict.effective || verdict.begins != kForever;
}

bool is_known(const Projection& projection, const DeliveryOptions& options) {
  return std::any_of(projection.identifiers.begin(),
                     projection.identifiers.end(),
                     [&](const Identifier& identifier) {
                       return options.grants->knows(identifier);
                     });
}

bool any_knows(std::span<const DeliveryOptions> views,
               const std::vector<Identifier>& identifiers) {
  return std::any_of(
      identifiers.begin(), identifiers.end(), [&](const Identifier& one) {
        return std::any_of(views.begin(), views.end(), [&](const auto& view) {
          return view.grants->knows(one);
        });
      });
}

// By what an operator may ignore a source, for each of `ids`.
std::map<std::string, SourceNames> names_of(
    const Sources& sources, const Ids& ids,
    std::span<const DeliveryOptions> views) {
  std::map<std::string, SourceNames> names;
  if (ids.empty()) return names;
  for (const std::string& id : ids) {
    auto found = sources.find(id);
    if (found == sources.end()) continue;
    const std::string& place = found->second.place;
    SourceNames& own = names[id];
    own.whole = {id, place};
    std::string_view account = StripeId(place).account();
    if (!account.empty()) own.whole.emplace_back(account);
    std::optional<ResolvedSubscription> resolved = resolve(found->second);
    if (resolved) own.items = std::move(resolved->items);
  }
  for (const Projection& projection : project(sources)) {
    auto of = names.find(projection.source);
    if (of == names.end()) continue;
    of->second.known_by.insert(of->second.known_by.end(),
                               projection.identifiers.begin(),
                               projection.identifiers.end());
  }
  for (auto& [id, own] : names) {
    if (any_knows(views, own.known_by)) own.known_by.clear();
  }
  return names;
}

Ids without(const Ids& a, const Ids& b) {
  Ids ids;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(),
                      std::inserter(ids, ids.end()));
  return ids;
}

// Of a session that began one.
const std::string* subscription_of(const Source& source) {
  if (source.sessions.empty()) return nullptr;
  const SessionFact& session = source.sessions.front();
  return session.subscription_mode ? &session.subscription : nullptr;
}

void note_failure(Delivery& delivery, const std::string& why) {
  delivery.result.list_failed = true;
  delivery.result.error =
      "the index of what opens nothing was not written: " + why;
}

Members members_of(const Target& target, const Ids& ids) {
  Members members;
  for (const std::string& id : ids) {
    members.insert(unmatched_member(target, id));
  }
  return members;
}

Conversation<Progress> put(Delivery& delivery, Target target, Ids ids) {
  auto putting = put_on(delivery, delivery.options.keys.unmatched(),
                        members_of(target, ids));
  std::string error = co_await putting;
  if (!error.empty()) note_failure(delivery, error);
  co_return Progress::done;
}

// What of a user's record belongs into the index, as it is now.
Conversation<std::optional<Members>> belonging(Delivery& delivery, User user,
                                               const Ids& untold,
                                               Found& found) {
  auto reading = read_record(delivery, user);
  RecordRead read = co_await reading;
  found = read.found;
  if (found != Found::read) co_return std::nullopt;
  Ids now = opening_nothing(read.record.sources, {&delivery.options, 1});
  co_return members_of(Target::of(user), without(now, untold));
}

// Takes out those of `ids` that are nothing of the kind in the record, and
// those nobody is to be told of.
Conversation<Progress> take_out(Delivery& delivery, User user, Ids ids,
                                Ids untold) {
  Found found = Found::read;
  Belongs belongs = [&](const Members&) {
    return belonging(delivery, user, untold, found);
  };
  auto taking = take_off(delivery, delivery.options.keys.unmatched(),
                         members_of(Target::of(user), ids), belongs);
  TakenOff taken = co_await taking;
  if (found == Found::failed) co_return Progress::failed;
  if (!taken.error.empty()) note_failure(delivery, taken.error);
  co_return Progress::done;
}

bool is_paid_by(const Source& source, const std::vector<std::string>& ids) {
  return std::any_of(source.sessions.begin(), source.sessions.end(),
                     [&](const SessionFact& fact) {
                       return std::find(ids.begin(), ids.end(),
                                        fact.payment_intent) != ids.end();
                     });
}

// Which sources of a record to look at: what the event speaks of, and what
// began or ceased to open nothing with what was written.
Ids concerned(const Delivery& delivery, const PlaceReport& report,
              const Ids& nothing, const Sources& also) {
  Ids before = opening_nothing(report.sources_before, {&delivery.options, 1});
  Ids ids;
  std::set_symmetric_difference(before.begin(), before.end(), nothing.begin(),
                                nothing.end(), std::inserter(ids, ids.end()));
  for (const auto& [id, source] : report.record.sources) {
    bool said = std::find(delivery.sources.begin(), delivery.sources.end(),
                          id) != delivery.sources.end();
    bool again = report.known || also.contains(id);
    if (said && (again || nothing.contains(id))) ids.insert(id);
    bool had = report.sources_before.contains(id);
    if (also.contains(id) && (had || nothing.contains(id))) ids.insert(id);
    if (again && is_paid_by(source, delivery.sources)) ids.insert(id);
  }
  return ids;
}

Ids both(const Ids& a, const Ids& b) {
  Ids ids;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                        std::inserter(ids, ids.end()));
  return ids;
}

}  // namespace

bool opens_nothing(const Projection& projection,
                   const DeliveryOptions& options) {
  return projection.unclear || projection.awaited ||
         (is_bought(projection, options) && !is_known(projection, options));
}

bool opens_something(const Projection& projection,
                     const DeliveryOptions& options) {
  return is_bought(projection, options) && is_known(projection, options);
}

SourceIds awaited(const Sources& sources) {
  Ids ids;
  bool may_be =
      std::any_of(sources.begin(), sources.end(), [](const auto& one) {
        const Source& source = one.second;
        return subscription_of(source) != nullptr || !source.invoices.empty() ||
               !source.renewals.empty();
      });
  if (!may_be) return ids;
  for (const Projection& projection : project(sources)) {
    if (projection.awaited) ids.insert(projection.source);
  }
  return ids;
}

// A source may have several projections: it opens something when one does.
SourceIds opening_nothing(const Sources& sources,
                          std::span<const DeliveryOptions> views) {
  Ids nothing, something;
  for (const Projection& projection : project(sources)) {
    for (const DeliveryOptions& view : views) {
      if (opens_nothing(projection, view)) {
        nothing.insert(projection.source);
      } else if (opens_something(projection, view)) {
        something.insert(projection.source);
      }
    }
  }
  return without(nothing, something);
}

SourceIds owned_elsewhere(const Sources& sources, const SourceIds& ids,
                          std::string_view id, const Place& place,
                          const Target& target) {
  Ids elsewhere;
  if (ids.empty()) return elsewhere;
  const Owners owners = place.owners();
  for (const std::string& session : ids) {
    auto found = sources.find(session);
    if (found == sources.end() || found->second.place != id) continue;
    const std::string* subscription = subscription_of(found->second);
    if (subscription == nullptr) continue;
    std::optional<Target> owner = owners.of(*subscription);
    if (owner && *owner != target) elsewhere.insert(session);
  }
  return elsewhere;
}

Conversation<SourceIds> owned_elsewhere(Delivery& delivery, Target target,
                                        Sources sources, SourceIds ids) {
  Ids places;
  for (const std::string& id : ids) {
    auto found = sources.find(id);
    if (found != sources.end() && subscription_of(found->second) != nullptr) {
      places.insert(found->second.place);
    }
  }
  Ids elsewhere;
  for (const std::string& id : places) {
    auto reading = delivery.redis.read(delivery.options.keys.place(id));
    Reply reply = co_await reading;
    std::optional<Place> place = Place::decode(reply);
    if (!place) continue;
    elsewhere.merge(owned_elsewhere(sources, ids, id, *place, target));
  }
  delivery.elsewhere.insert(elsewhere.begin(), elsewhere.end());
  co_return elsewhere;
}

std::vector<std::string> names_to_ask_along(const Delivery& delivery,
                                            const Sources& said) {
  std::vector<std::string> all;
  for (const auto& [id, source] :
       names_of(said, awaited(said), {&delivery.options, 1})) {
    std::vector<std::string> some = source.all();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

Conversation<SourceIds> ignored_of(Delivery& delivery, Sources sources,
                                   SourceIds ids,
                                   std::span<const DeliveryOptions> views) {
  Ids ignored;
  const auto all = names_of(sources, ids, views);
  std::vector<std::string> names;
  for (const auto& [id, source] : all) {
    std::vector<std::string> some = source.all();
    names.insert(names.end(), some.begin(), some.end());
  }
  if (names.empty()) co_return ignored;
  std::set<std::string> among = delivery.asked.ignored;
  bool asked = std::all_of(names.begin(), names.end(), [&](const auto& name) {
    return delivery.asked.names.contains(name);
  });
  if (!asked) {
    auto asking = ignored_among(delivery.redis, delivery.options.keys.ignored(),
                                std::move(names));
    among = co_await asking;
  }
  for (const auto& [id, source] : all) {
    if (is_ignored(source, among)) ignored.insert(id);
  }
  delivery.ignored.insert(ignored.begin(), ignored.end());
  co_return ignored;
}

Conversation<bool> ignores_all_paid_for(
    Delivery& delivery, Sources sources,
    std::span<const DeliveryOptions> views) {
  Ids ids = paid_for(sources);
  auto asking = ignored_of(delivery, std::move(sources), ids, views);
  Ids ignored = co_await asking;
  co_return !ids.empty() && ignored == ids;
}

Indexing to_index(const Delivery& delivery, const PlaceReport& report,
                  const Sources& also) {
  Ids nothing = opening_nothing(report.record.sources, {&delivery.options, 1});
  Ids ids = concerned(delivery, report, nothing, also);
  Ids in = both(ids, nothing);
  return {std::move(ids), std::move(in)};
}

std::vector<Command> index_writes(const DeliveryOptions& options,
                                  const Target& target,
                                  const Indexing& indexing) {
  const std::string list = options.keys.unmatched();
  std::vector<Command> commands = to_take_off(
      list, members_of(target, without(indexing.concerned, indexing.in)));
  for (Command& command :
       to_put_on(list, members_of(target, indexing.in), seconds_of(options))) {
    commands.push_back(std::move(command));
  }
  return commands;
}

Conversation<Progress> index_unmatched(Delivery& delivery, User user,
                                       const PlaceReport& report,
                                       Sources also) {
  const std::span<const DeliveryOptions> views{&delivery.options, 1};
  Indexing indexing = to_index(delivery, report, also);
  auto looking = owned_elsewhere(delivery, Target::of(user),
                                 report.record.sources, indexing.in);
  Ids untold = co_await looking;
  auto asking = ignored_of(delivery, report.record.sources, indexing.in, views);
  Ids ignored = co_await asking;
  untold.merge(ignored);
  auto putting = put(delivery, Target::of(user), without(indexing.in, untold));
  co_await putting;
  auto taking = take_out(delivery, user, std::move(indexing.concerned),
                         std::move(untold));
  Progress progress = co_await taking;
  co_return progress;
}

Conversation<Progress> index_unmatched(Delivery& delivery, std::string place,
                                       Sources waiting) {
  Ids in = opening_nothing(waiting, {&delivery.options, 1});
  auto asking =
      ignored_of(delivery, std::move(waiting), in, {&delivery.options, 1});
  Ids ignored = co_await asking;
  auto putting = put(delivery, Target::of_place(place), without(in, ignored));
  co_await putting;
  co_return Progress::done;
}

Conversation<Progress> unindex(Delivery& delivery, std::string place,
                               Sources sources) {
  const Keys& keys = delivery.options.keys;
  const Target target = Target::of_place(place);
  std::vector<Command> commands;
  for (const auto& [id, source] : sources) {
    commands.push_back(
        {"ZREM", keys.unmatched(), unmatched_member(target, id)});
  }
  if (commands.empty()) co_return Progress::done;
  auto telling = delivery.redis.send(keys.unmatched(), std::move(commands));
  std::vector<Reply> replies = co_await telling;
  for (const Reply& reply : replies) {
    if (reply.is_error()) note_failure(delivery, reply.text);
  }
  co_return Progress::done;
}

}  // namespace entitle
