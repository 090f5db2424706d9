#include "cli/reconcile/kept.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/record/record.h"

namespace entitle::cli {
namespace {

constexpr int kMostForwards = 8;

using Places = std::map<std::string, std::optional<Place>>;

void read_places(const Context& context, const std::set<std::string>& ids,
                 Places& into) {
  std::vector<Command> commands;
  std::vector<std::string> asked;
  for (const std::string& id : ids) {
    if (into.contains(id)) continue;
    commands.push_back({"HGETALL", context.keys().place(id)});
    asked.push_back(id);
  }
  const std::vector<Reply> replies = context.redis().ask_each(commands);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    into.emplace(asked[i], Place::decode(replies[i]));
  }
}

// Where its facts go on to; empty: they stay.
std::string forwarded(const Place& place) {
  const std::optional<Target> owner = place.to ? place.to : place.owner();
  return owner ? std::string(owner->place()) : std::string();
}

std::set<User> holders_of(const Place& place) {
  std::set<User> users;
  for (const Target& owner : place.owners().all()) {
    if (auto user = owner.user()) users.insert(*user);
  }
  for (const Target& holder : place.holders) {
    if (auto user = holder.user()) users.insert(*user);
  }
  return users;
}

using Records = std::map<User, std::optional<Record>>;

Records read_records(const Context& context, const std::set<User>& users) {
  std::vector<Command> commands;
  for (const User& user : users) {
    commands.push_back({"HGETALL", context.keys().record(user)});
  }
  const std::vector<Reply> replies = context.redis().ask_each(commands);
  Records records;
  std::size_t i = 0;
  for (const User& user : users) {
    records.emplace(user, Record::decode(replies[i++]));
  }
  return records;
}

void gather(Kept& kept, const Records& records) {
  merge(kept.sources, kept.place.sources);
  merge(kept.sources, kept.place.passed_on);
  for (const User& user : holders_of(kept.place)) {
    const std::optional<Record>& record = records.at(user);
    if (!record) {
      kept.readable = false;
    } else {
      merge(kept.sources, record->sources);
    }
  }
}

}  // namespace

std::map<std::string, Kept> read_kept(const Context& context,
                                      const std::set<std::string>& places) {
  Places read;
  std::map<std::string, Kept> all;
  std::set<std::string> wanted = places;
  for (const std::string& id : places) all[id].id = id;
  for (int i = 0; i < kMostForwards && !wanted.empty(); ++i) {
    read_places(context, wanted, read);
    wanted.clear();
    for (auto& [id, kept] : all) {
      const std::optional<Place>& place = read.at(kept.id);
      const std::string next = place ? forwarded(*place) : std::string();
      if (next.empty() || next == kept.id) continue;
      // What waits on the way belongs to it as well.
      merge(kept.sources, place->sources);
      merge(kept.sources, place->passed_on);
      kept.id = next;
      if (!read.contains(next)) wanted.insert(next);
    }
  }
  std::set<User> users;
  for (auto& [id, kept] : all) {
    const auto place = read.find(kept.id);
    kept.readable = place != read.end() && place->second.has_value();
    if (!kept.readable) continue;
    kept.place = *place->second;
    const std::set<User> holders = holders_of(kept.place);
    users.insert(holders.begin(), holders.end());
  }
  const Records records = read_records(context, users);
  for (auto& [id, kept] : all) {
    if (kept.readable) gather(kept, records);
  }
  return all;
}

}  // namespace entitle::cli
