#include "core/delivery/restore.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "core/base/rising.h"
#include "core/delivery/grant.h"
#include "core/delivery/parts.h"
#include "core/delivery/writes.h"
#include "core/record/keys.h"
#include "core/record/place.h"
#include "core/record/record.h"

namespace entitle {
namespace {

using Kind = KeptHash::Kind;
using Places = std::map<std::string, std::optional<Place>, std::less<>>;

Reply as_reply(const KeptHash& kept) {
  Reply reply;
  reply.type = Reply::Type::array;
  for (const auto& [field, value] : kept.fields) {
    for (const std::string* text : {&field, &value}) {
      Reply& element = reply.elements.emplace_back();
      element.type = Reply::Type::string;
      element.text = *text;
    }
  }
  return reply;
}

std::string key_of(const KeptHash& kept, const Keys& keys) {
  return kept.kind == Kind::place ? keys.place(kept.id)
                                  : keys.record(*User::from(kept.id));
}

bool is_empty(const Reply& hash) {
  return hash.is_array() && hash.elements.empty();
}

// --- what is not there yet ---------------------------------------------------

// Later than any session from before.
std::int64_t new_version(const Record& record, const DeliveryOptions& options) {
  return std::max<std::int64_t>(options.now.time_since_epoch().count(),
                                risen(record.version));
}

void add_place(const KeptHash& kept, const DeliveryOptions& options,
               std::vector<Command>& commands) {
  Command set{"HSET", options.keys.place(kept.id)};
  for (const auto& [field, value] : kept.fields) {
    set.push_back(field);
    set.push_back(value);
  }
  commands.push_back(std::move(set));
  if (kept.ttl) {
    commands.push_back({"EXPIRE", options.keys.place(kept.id),
                        std::to_string(kept.ttl->count())});
  } else if (!is_customer(kept.id)) {
    commands.push_back(keep_place(options.keys, kept.id));
  }
}

void add_record(const KeptHash& kept, const Record& record,
                const DeliveryOptions& options,
                std::vector<Command>& commands) {
  const User user = *User::from(kept.id);
  Command set{"HSET", options.keys.record(user)};
  for (const auto& [field, value] : kept.fields) {
    if (field == "version") continue;
    set.push_back(field);
    set.push_back(value);
  }
  set.push_back("version");
  set.push_back(std::to_string(new_version(record, options)));
  commands.push_back(std::move(set));
  if (kept.log.empty()) return;
  const std::string log = options.keys.log(user);
  commands.push_back({"DEL", log});
  Command lines{"RPUSH", log};
  lines.insert(lines.end(), kept.log.begin(), kept.log.end());
  commands.push_back(std::move(lines));
}

std::set<std::string> places_of(const Record& record) {
  std::set<std::string> places;
  for (const auto& [id, source] : record.sources) {
    if (!source.place.empty() && !is_grant(source.place)) {
      places.insert(source.place);
    }
  }
  return places;
}

// Whether nothing here says that what of this place is the user's is anybody
// else's. A place that is gone said so for as long as it had to.
bool agrees(const std::optional<Place>& place, const std::string& id,
            const Record& record, const User& user) {
  if (!place) return false;
  if (!place->exists) return true;
  if (!place->holders.contains(Target::of(user))) return false;
  const Sources sources = sources_of(record, id);
  return place->owners().share(sources, id, Target::of(user)) == sources;
}

bool all_agree(const Places& places, const Record& record, const User& user) {
  return std::all_of(places.begin(), places.end(), [&](const auto& one) {
    return agrees(one.second, one.first, record, user);
  });
}

struct Batch {
  std::vector<std::string> keys;
  // What of the keys each kept hash wants to know: itself, then its places.
  std::vector<std::vector<std::string>> places;
};

Batch batch_of(const std::vector<KeptHash>& all, const Keys& keys) {
  Batch batch;
  for (const KeptHash& kept : all) {
    batch.keys.push_back(key_of(kept, keys));
    auto& places = batch.places.emplace_back();
    if (kept.kind == Kind::place) continue;
    const std::optional<Record> record = Record::decode(as_reply(kept));
    if (!record) continue;
    for (const std::string& place : places_of(*record)) {
      places.push_back(place);
    }
  }
  for (const auto& places : batch.places) {
    for (const std::string& place : places) {
      batch.keys.push_back(keys.place(place));
    }
  }
  return batch;
}

// --- what is there -----------------------------------------------------------

std::vector<Claim> all_claims(const Place& place) {
  std::vector<Claim> claims = place.claims;
  for (const Naming* some : {&place.naming, &place.waiting}) {
    for (const auto& [source, about] : *some) {
      claims.insert(claims.end(), about.begin(), about.end());
    }
  }
  return claims;
}

PlaceFacts facts_of(const std::string& id, const Place& kept) {
  PlaceFacts facts{id, all_claims(kept), kept.sources, kept.email};
  merge(facts.sources, kept.passed_on);
  return facts;
}

// Whether the place has all of it.
bool has_all(const Place& place, const PlaceFacts& facts) {
  Sources sources = place.sources;
  merge(sources, place.passed_on);
  const bool claims =
      std::all_of(facts.claims.begin(), facts.claims.end(),
                  [&](const Claim& claim) { return place.has(claim); });
  return claims && (!facts.email || place.email == facts.email) &&
         includes(sources, facts.sources);
}

Conversation<RestoreResult> tell_place(Delivery& delivery, PlaceFacts facts) {
  PlaceReport report;
  auto telling = deliver_to_place(delivery, std::move(facts), report);
  Progress progress = co_await telling;
  if (progress == Progress::failed) {
    co_return RestoreResult{Restored::failed, delivery.result.error};
  }
  co_return RestoreResult{Restored::merged, {}};
}

struct PlaceFound {
  Progress progress = Progress::done;
  std::optional<Place> place;  // null: it cannot be read
};

Conversation<PlaceFound> find_place(Delivery& delivery, std::string id) {
  auto reading = delivery.redis.read(delivery.options.keys.place(id));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    delivery.result.error = reply.text;
    co_return PlaceFound{Progress::failed, {}};
  }
  co_return PlaceFound{Progress::done, Place::decode(reply)};
}

// What is written straight into the record: all whose places do not mind.
struct Straight {
  Sources sources;
  std::map<std::string, PlaceMark, std::less<>> places;
};

// What the places say otherwise about is told to them.
Conversation<RestoreResult> tell_places(Delivery& delivery, User user,
                                        const Record& kept,
                                        Straight& straight) {
  straight.sources = kept.sources;
  RestoreResult result{Restored::same, {}};
  for (const std::string& id : places_of(kept)) {
    auto finding = find_place(delivery, id);
    PlaceFound found = co_await finding;
    if (found.progress == Progress::failed) {
      co_return RestoreResult{Restored::failed, delivery.result.error};
    }
    if (agrees(found.place, id, kept, user)) {
      auto mark = kept.places.find(id);
      if (mark != kept.places.end()) straight.places.insert(*mark);
      continue;
    }
    PlaceFacts facts{id, {}, sources_of(kept, id), {}};
    for (const auto& [source, said] : facts.sources) {
      straight.sources.erase(source);
    }
    auto telling = tell_place(delivery, std::move(facts));
    result = co_await telling;
    if (result.outcome == Restored::failed) co_return result;
  }
  co_return result;
}

// Fields that are not entitle's, where there are none now.
void add_others(const KeptHash& kept, const std::string& key,
                const Reply& standing, std::vector<Command>& commands) {
  std::set<std::string_view> here;
  for (std::size_t i = 0; i + 1 < standing.elements.size(); i += 2) {
    here.insert(standing.elements[i].text);
  }
  constexpr std::string_view ours[] = {"source:", "place:"};
  for (const auto& one : kept.fields) {
    const std::string& field = one.first;
    const bool is_ours = std::any_of(
        std::begin(ours), std::end(ours),
        [&](std::string_view begin) { return field.starts_with(begin); });
    if (is_ours || here.contains(field)) continue;
    if (field == "format" || field == "place_floor") continue;
    commands.push_back({"HSET", key, field, one.second});
  }
}

// The kept record's part in what is written, besides sources.
void add_heads(const Record& kept, const Record& before, std::int64_t version,
               const std::string& key, std::vector<Command>& commands) {
  if (kept.not_before > before.not_before) {
    commands.push_back(
        {"HSET", key, "not_before", std::to_string(to_unix(*kept.not_before))});
  }
  if (kept.version > version) {
    commands.push_back(
        {"HSET", key, "version", std::to_string(risen(kept.version))});
  }
}

// Without what was told to places that are others' now, and the marks of those.
KeptHash without_told(const KeptHash& kept, const Record& was,
                      const Straight& straight) {
  KeptHash rest = kept;
  const std::set<std::string> all = places_of(was);
  std::erase_if(rest.fields, [&](const auto& field) {
    const std::string& name = field.first;
    if (name.starts_with("source:")) {
      return !straight.sources.contains(name.substr(7));
    }
    return name.starts_with("place:") && all.contains(name.substr(6)) &&
           !straight.places.contains(name.substr(6));
  });
  return rest;
}

void take(Record& after, const Straight& straight) {
  merge(after.sources, straight.sources);
  for (const auto& [id, mark] : straight.places) {
    after.places.try_emplace(id, mark);
  }
}

Conversation<RestoreResult> merge_record(Delivery& delivery,
                                         const KeptHash& kept,
                                         const Record& was, Straight straight,
                                         bool told) {
  const User user = *User::from(kept.id);
  const std::string key = delivery.options.keys.record(user);
  for (;;) {
    auto watching = delivery.redis.watch(key);
    Reply reply = co_await watching;
    if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
      co_return RestoreResult{Restored::failed, reply.text};
    }
    const std::optional<Record> before = Record::decode(reply);
    if (!before) co_return RestoreResult{Restored::unreadable, {}};
    Record after = *before;
    take(after, straight);
    std::vector<Command> others;
    std::size_t for_log = 0;
    if (is_empty(reply)) {
      add_record(without_told(kept, was, straight), was, delivery.options,
                 others);
    } else {
      const bool same =
          after.sources == before->sources && after.places == before->places;
      RecordCause cause{delivery.event, {}, same ? "" : "applied"};
      RecordWrite write =
          write_record(delivery.options, user, *before, after, cause);
      add_others(kept, key, reply, others);
      add_heads(was, *before, write.version, key, others);
      if (same && others.empty()) {
        co_return RestoreResult{told ? Restored::merged : Restored::same, {}};
      }
      for_log = write.for_log;
      std::move(write.commands.begin(), write.commands.end(),
                std::back_inserter(others));
    }
    const bool made = is_empty(reply);
    auto committing = delivery.redis.commit(key, std::move(others), for_log);
    CommitReply commit = co_await committing;
    if (commit.status == Commit::refused) {
      co_return RestoreResult{Restored::failed, commit.error};
    }
    if (commit.status == Commit::committed) {
      co_return RestoreResult{made ? Restored::made : Restored::merged, {}};
    }
    if (!delivery.redis.try_again()) {
      co_return RestoreResult{Restored::failed, "conflicts did not end"};
    }
  }
}

Conversation<RestoreResult> restore_record(Delivery& delivery,
                                           const KeptHash& kept) {
  const std::optional<Record> was = Record::decode(as_reply(kept));
  Straight straight;
  auto telling = tell_places(delivery, *User::from(kept.id), *was, straight);
  RestoreResult told = co_await telling;
  if (told.outcome == Restored::failed) co_return told;
  auto merging = merge_record(delivery, kept, *was, std::move(straight),
                              told.outcome == Restored::merged);
  RestoreResult result = co_await merging;
  co_return result;
}

Conversation<RestoreResult> restore_place(Delivery& delivery,
                                          const KeptHash& kept) {
  const std::string key = delivery.options.keys.place(kept.id);
  do {
    auto watching = delivery.redis.watch(key);
    Reply reply = co_await watching;
    if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
      co_return RestoreResult{Restored::failed, reply.text};
    }
    const std::optional<Place> standing = Place::decode(reply);
    if (!standing) co_return RestoreResult{Restored::unreadable, {}};
    if (standing->exists) {
      const std::optional<Place> was = Place::decode(as_reply(kept));
      PlaceFacts facts = facts_of(kept.id, *was);
      if (has_all(*standing, facts)) {
        co_return RestoreResult{Restored::same, {}};
      }
      auto telling = tell_place(delivery, std::move(facts));
      RestoreResult result = co_await telling;
      co_return result;
    }
    std::vector<Command> commands;
    add_place(kept, delivery.options, commands);
    auto committing = delivery.redis.commit(key, std::move(commands));
    CommitReply commit = co_await committing;
    if (commit.status == Commit::refused) {
      co_return RestoreResult{Restored::failed, commit.error};
    }
    if (commit.status == Commit::committed) {
      co_return RestoreResult{Restored::made, {}};
    }
  } while (delivery.redis.try_again());
  co_return RestoreResult{Restored::failed, "conflicts did not end"};
}

}  // namespace

bool is_sound(const KeptHash& kept) {
  if (kept.id.empty() || kept.fields.empty()) return false;
  if (kept.kind == Kind::place) {
    return Place::decode(as_reply(kept)).has_value();
  }
  return User::from(kept.id) && Record::decode(as_reply(kept)).has_value();
}

Conversation<std::vector<bool>> restore_new(std::vector<KeptHash> all,
                                            DeliveryOptions options) {
  Transactions redis(options.jitter_seed, options.wait);
  Batch batch = batch_of(all, options.keys);
  auto watching = redis.watch_all(batch.keys);
  std::vector<Reply> replies = co_await watching;
  std::vector<bool> made(all.size(), false);
  if (replies.size() != batch.keys.size()) co_return made;
  std::vector<Command> commands;
  std::size_t at = all.size();  // of the next place, in `replies`
  for (std::size_t i = 0; i < all.size(); ++i) {
    Places places;
    for (const std::string& place : batch.places[i]) {
      const Reply& reply = replies.at(at++);
      places[place] = reply.is_error() ? std::nullopt : Place::decode(reply);
    }
    if (replies.at(i).is_error() || !is_empty(replies.at(i))) continue;
    if (all[i].kind == Kind::place) {
      add_place(all[i], options, commands);
      made[i] = true;
      continue;
    }
    const std::optional<Record> record = Record::decode(as_reply(all[i]));
    if (!record || !all_agree(places, *record, *User::from(all[i].id))) {
      continue;
    }
    add_record(all[i], *record, options, commands);
    made[i] = true;
  }
  if (commands.empty()) co_return made;
  auto committing = redis.commit(batch.keys.front(), std::move(commands));
  CommitReply reply = co_await committing;
  if (reply.status != Commit::committed) made.assign(all.size(), false);
  co_return made;
}

Conversation<RestoreResult> restore(KeptHash kept, OperatorsWord word,
                                    DeliveryOptions options) {
  EventHead event = operators_event("restore", word, options);
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  if (kept.kind == Kind::place) {
    auto restoring = restore_place(delivery, kept);
    RestoreResult result = co_await restoring;
    co_return result;
  }
  auto restoring = restore_record(delivery, kept);
  RestoreResult result = co_await restoring;
  co_return result;
}

}  // namespace entitle
