#include "core/delivery/sweep.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/delivery/listed.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/delivery/unmatched.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/target.h"
#include "core/stripe/event.h"

namespace entitle {
namespace {

// The members of a list that speak of one record or place, with the source that
// each is about; empty: all of it.
using Group = std::map<std::string, std::string>;

struct Sweep;

// What a record or place holds. Null: it cannot be read, and so its members are
// left alone.
struct Held {
  std::optional<Sources> sources{};
  bool owned = false;  // of a place: it is known whose
};

// What is looked through.
struct List {
  std::string key;
  // What a member speaks of. Null: it is none of ours.
  std::optional<Unmatched> (*parts)(std::string_view member);
  // Which of these belong on it.
  Conversation<Members> (*belonging)(Sweep& s, Held held, const Group& group);
};

struct Sweep {
  Delivery& delivery;
  const std::vector<DeliveryOptions>& views;
  List list;
  Swept swept{};
  Members awaited{};  // see Swept
};

Conversation<std::vector<std::string>> read_members(Sweep& s,
                                                    std::size_t from) {
  std::vector<Command> commands;
  commands.push_back({"ZRANGE", s.list.key, std::to_string(from),
                      std::to_string(from + kMostSwept - 1)});
  auto asking = s.delivery.redis.send(s.list.key, std::move(commands));
  std::vector<Reply> replies = co_await asking;
  Reply& reply = replies.front();
  std::vector<std::string> members;
  if (reply.is_error()) s.swept.error = reply.text;
  for (Reply& member : reply.elements) {
    members.push_back(std::move(member.text));
  }
  s.swept.end = members.size() < kMostSwept;
  co_return members;
}

Held held_by_place(const Reply& reply) {
  std::optional<Place> place = Place::decode(reply);
  if (!place) return {};
  bool owned = place->owner().has_value();
  return {std::move(place->sources), owned};
}

Held held_by_user(const Reply& reply) {
  std::optional<Record> record = Record::decode(reply);
  if (!record) return {};
  return {std::move(record->sources)};
}

// Which of the group belong on the list, as things are now. Null: that cannot
// be told.
Conversation<std::optional<Members>> belonging(Sweep& s, Target target,
                                               const Group& group) {
  const Keys& keys = s.delivery.options.keys;
  std::optional<User> user = target.user();
  auto reading = s.delivery.redis.read(
      user ? keys.record(*user) : keys.place(std::string(target.place())));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    s.swept.error = reply.text;
    co_return std::nullopt;
  }
  Held held = user ? held_by_user(reply) : held_by_place(reply);
  if (!held.sources) co_return std::nullopt;
  auto judging = s.list.belonging(s, std::move(held), group);
  Members members = co_await judging;
  co_return members;
}

// Most stay, which is seen without watching the list.
Conversation<Progress> look_at(Sweep& s, Target target, const Group& group) {
  Members leaving;
  for (const auto& [member, source] : group) leaving.insert(member);
  s.swept.stay += leaving.size();
  auto looking = belonging(s, target, group);
  std::optional<Members> stay = co_await looking;
  if (!s.swept.error.empty()) co_return Progress::failed;
  if (!stay) co_return Progress::done;
  for (const std::string& member : *stay) leaving.erase(member);
  Belongs belongs = [&](const Members&) { return belonging(s, target, group); };
  auto taking = take_off(s.delivery, s.list.key, std::move(leaving), belongs);
  TakenOff taken = co_await taking;
  s.swept.gone += taken.count;
  s.swept.stay -= taken.count + taken.missing;
  if (!taken.error.empty()) s.swept.error = std::move(taken.error);
  co_return s.swept.error.empty() ? Progress::done : Progress::failed;
}

Conversation<Swept> sweep(std::vector<DeliveryOptions> views, std::size_t from,
                          List list) {
  const DeliveryOptions& options = views.front();
  EventHead nobodys{};
  Delivery delivery{nobodys, options, Transactions(options.jitter_seed),
                    {},      {},      {}};
  Sweep s{delivery, views, std::move(list)};
  auto reading = read_members(s, from);
  std::vector<std::string> members = co_await reading;
  std::map<Target, Group> groups;
  for (std::string& member : members) {
    std::optional<Unmatched> parts = s.list.parts(member);
    if (parts) {
      groups[parts->target].emplace(std::move(member),
                                    std::move(parts->source));
    } else {
      s.swept.stay++;
    }
  }
  for (const auto& [target, group] : groups) {
    auto looking = look_at(s, target, group);
    Progress progress = co_await looking;
    if (progress == Progress::failed) break;
  }
  s.swept.awaited = s.awaited.size();
  co_return std::move(s.swept);
}

// --- what opens nothing ------------------------------------------------------

// Stripe's events of one purchase come within seconds.
bool is_old(const Sweep& s, const Source& source) {
  constexpr Seconds kSoon{60};
  return seconds_of(s.delivery.options) - source.newest() > kSoon;
}

// Those whose source still opens nothing and is not ignored.
Conversation<Members> opening_nothing(Sweep& s, Held held, const Group& group) {
  SourceIds ids = entitle::opening_nothing(*held.sources, s.views);
  std::erase_if(ids, [&](const std::string& id) {
    return std::none_of(group.begin(), group.end(), [&](const auto& member) {
      return member.second == id;
    });
  });
  auto looking =
      owned_elsewhere(s.delivery, unmatched_of(group.begin()->first)->target,
                      *held.sources, ids);
  SourceIds untold = co_await looking;
  auto asking = ignored_of(s.delivery, *held.sources, ids, s.views);
  SourceIds ignored = co_await asking;
  untold.merge(ignored);
  const SourceIds awaited = entitle::awaited(*held.sources);
  Members members;
  for (const auto& [member, source] : group) {
    if (!ids.contains(source) || untold.contains(source)) continue;
    members.insert(member);
    bool waits = awaited.contains(source) &&
                 is_old(s, held.sources->find(source)->second);
    if (waits) s.awaited.insert(member);
  }
  co_return members;
}

// --- what is nobody's --------------------------------------------------------

std::optional<Unmatched> whole_place(std::string_view member) {
  return Unmatched{Target::of_place(member), {}};
}

// Also what has an owner who cannot be given it; not what is ignored by name.
Conversation<bool> still_waits(Sweep& s, Held held) {
  if (held.owned) co_return !held.sources->empty();
  if (!is_paid_for(*held.sources)) co_return false;
  auto asking =
      ignores_all_paid_for(s.delivery, *std::move(held.sources), s.views);
  bool ignored = co_await asking;
  co_return !ignored;
}

Conversation<Members> waiting(Sweep& s, Held held, const Group& group) {
  auto judging = still_waits(s, std::move(held));
  bool waits = co_await judging;
  Members members;
  for (const auto& [member, source] : group) {
    if (waits) members.insert(member);
  }
  co_return members;
}

}  // namespace

Conversation<Swept> sweep_unmatched(std::vector<DeliveryOptions> views,
                                    std::size_t from) {
  List list{views.front().keys.unmatched(), unmatched_of, opening_nothing};
  return sweep(std::move(views), from, std::move(list));
}

Conversation<Swept> sweep_parked(std::vector<DeliveryOptions> views,
                                 std::size_t from) {
  List list{views.front().keys.parked(), whole_place, waiting};
  return sweep(std::move(views), from, std::move(list));
}

}  // namespace entitle
