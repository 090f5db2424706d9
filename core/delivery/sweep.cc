#include "core/delivery/sweep.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/delivery/unmatched.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/target.h"
#include "core/stripe/event.h"

namespace entitle {
namespace {

struct Member {
  std::string text, score;
};

struct Sweep {
  Delivery& delivery;
  const std::vector<DeliveryOptions>& views;
  std::string list;  // its key
  Swept swept{};
};

// What a member speaks of. Null: it cannot be read, and so is left alone.
struct Held {
  Progress progress = Progress::done;
  std::optional<Sources> sources{};
  bool owned = false;  // of a place: it is known whose
};

Held failed(Sweep& s, const Reply& reply) {
  s.swept.error = reply.text;
  return {Progress::failed};
}

Conversation<std::vector<Member>> read_members(Sweep& s, std::size_t from) {
  std::vector<Command> commands;
  commands.push_back({"ZRANGE", s.list, std::to_string(from),
                      std::to_string(from + kMostSwept - 1), "WITHSCORES"});
  auto asking = s.delivery.redis.send(s.list, std::move(commands));
  std::vector<Reply> replies = co_await asking;
  const Reply& reply = replies.front();
  std::vector<Member> members;
  if (reply.is_error()) s.swept.error = reply.text;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    members.push_back({reply.elements[i].text, reply.elements[i + 1].text});
  }
  s.swept.end = members.size() < kMostSwept;
  co_return members;
}

Conversation<Held> read_place(Sweep& s, std::string id) {
  auto reading = s.delivery.redis.read(s.delivery.options.keys.place(id));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    co_return failed(s, reply);
  }
  std::optional<Place> place = Place::decode(reply);
  if (!place) co_return Held{};
  bool owned = place->owner().has_value();
  co_return Held{Progress::done, std::move(place->sources), owned};
}

Conversation<Held> read_target(Sweep& s, Target target) {
  std::optional<User> user = target.user();
  if (!user) {
    auto reading = read_place(s, std::string(target.place()));
    Held held = co_await reading;
    co_return held;
  }
  auto reading = s.delivery.redis.read(s.delivery.options.keys.record(*user));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    co_return failed(s, reply);
  }
  std::optional<Record> record = Record::decode(reply);
  if (!record) co_return Held{};
  co_return Held{Progress::done, std::move(record->sources)};
}

// "ZREM" takes the members off, "ZADD" puts them back where they were.
Conversation<Progress> change(Sweep& s, std::string_view word,
                              std::vector<Member> members) {
  std::vector<Command> commands;
  for (Member& member : members) {
    Command& command =
        commands.emplace_back(Command{std::string(word), s.list});
    if (word == "ZADD") {
      command.emplace_back("NX");
      command.push_back(std::move(member.score));
    }
    command.push_back(std::move(member.text));
  }
  if (commands.empty()) co_return Progress::done;
  auto sending = s.delivery.redis.send(s.list, std::move(commands));
  std::vector<Reply> replies = co_await sending;
  for (const Reply& reply : replies) {
    if (reply.is_error()) s.swept.error = reply.text;
  }
  co_return s.swept.error.empty() ? Progress::done : Progress::failed;
}

// --- what opens nothing ------------------------------------------------------

using BySource = std::multimap<std::string, Member>;

// Those of `members` whose source still opens nothing and is not ignored.
Conversation<SourceIds> still_so(Sweep& s, Sources sources,
                                 const BySource& members) {
  SourceIds ids;
  for (const std::string& id : opening_nothing(sources, s.views)) {
    if (members.contains(id)) ids.insert(id);
  }
  auto asking = ignored_of(s.delivery, std::move(sources), ids, s.views);
  SourceIds ignored = co_await asking;
  for (const std::string& id : ignored) ids.erase(id);
  co_return ids;
}

Conversation<Progress> look_at_target(Sweep& s, Target target,
                                      BySource members) {
  auto reading = read_target(s, target);
  Held held = co_await reading;
  if (held.progress == Progress::failed) co_return Progress::failed;
  s.swept.stay += members.size();
  if (!held.sources) co_return Progress::done;
  auto judging = still_so(s, *std::move(held.sources), members);
  SourceIds stay = co_await judging;
  std::vector<Member> leave;
  for (auto member = members.begin(); member != members.end();) {
    if (stay.contains(member->first)) {
      member = members.erase(member);
    } else {
      leave.push_back((member++)->second);
    }
  }
  if (leave.empty()) co_return Progress::done;
  s.swept.stay -= leave.size();
  s.swept.gone += leave.size();
  auto removing = change(s, "ZREM", std::move(leave));
  Progress progress = co_await removing;
  if (progress == Progress::failed) co_return progress;

  auto again = read_target(s, target);
  held = co_await again;
  std::vector<Member> back;
  if (held.sources) {
    auto judging_again = still_so(s, *std::move(held.sources), members);
    stay = co_await judging_again;
  }
  for (const auto& [source, member] : members) {
    if (!held.sources || stay.contains(source)) back.push_back(member);
  }
  s.swept.stay += back.size();
  s.swept.gone -= back.size();
  auto restoring = change(s, "ZADD", std::move(back));
  progress = co_await restoring;
  co_return progress;
}

// --- what is nobody's --------------------------------------------------------

// Also what has an owner who cannot be given it; not what is ignored by name.
Conversation<bool> still_waits(Sweep& s, Held held) {
  if (!held.sources) co_return true;
  if (held.owned) co_return !held.sources->empty();
  if (!is_paid_for(*held.sources)) co_return false;
  auto asking =
      ignores_all_paid_for(s.delivery, *std::move(held.sources), s.views);
  bool ignored = co_await asking;
  co_return !ignored;
}

Conversation<Progress> look_at_place(Sweep& s, Member member) {
  auto reading = read_place(s, member.text);
  Held held = co_await reading;
  if (held.progress == Progress::failed) co_return Progress::failed;
  auto judging = still_waits(s, std::move(held));
  bool waits = co_await judging;
  if (waits) {
    s.swept.stay++;
    co_return Progress::done;
  }
  std::vector<Member> one{member};
  auto removing = change(s, "ZREM", one);
  Progress progress = co_await removing;
  if (progress == Progress::failed) co_return progress;
  auto again = read_place(s, member.text);
  held = co_await again;
  auto judging_again = still_waits(s, std::move(held));
  waits = co_await judging_again;
  if (!waits) {
    s.swept.gone++;
    co_return Progress::done;
  }
  s.swept.stay++;
  auto restoring = change(s, "ZADD", std::move(one));
  progress = co_await restoring;
  co_return progress;
}

}  // namespace

Conversation<Swept> sweep_unmatched(std::vector<DeliveryOptions> views,
                                    std::size_t from) {
  const DeliveryOptions& options = views.front();
  EventHead nobodys{};
  Delivery delivery{nobodys, options, Transactions(options.jitter_seed),
                    {},      {},      {}};
  Sweep s{delivery, views, options.keys.unmatched()};
  auto reading = read_members(s, from);
  std::vector<Member> members = co_await reading;
  std::map<Target, BySource> by_target;
  for (Member& member : members) {
    std::optional<Unmatched> parts = unmatched_of(member.text);
    if (parts) {
      by_target[parts->target].emplace(parts->source, std::move(member));
    } else {
      s.swept.stay++;
    }
  }
  for (auto& [target, some] : by_target) {
    auto looking = look_at_target(s, target, std::move(some));
    Progress progress = co_await looking;
    if (progress == Progress::failed) break;
  }
  co_return std::move(s.swept);
}

Conversation<Swept> sweep_parked(std::vector<DeliveryOptions> views,
                                 std::size_t from) {
  const DeliveryOptions& options = views.front();
  EventHead nobodys{};
  Delivery delivery{nobodys, options, Transactions(options.jitter_seed),
                    {},      {},      {}};
  Sweep s{delivery, views, options.keys.parked()};
  auto reading = read_members(s, from);
  std::vector<Member> members = co_await reading;
  for (Member& member : members) {
    auto looking = look_at_place(s, std::move(member));
    Progress progress = co_await looking;
    if (progress == Progress::failed) break;
  }
  co_return std::move(s.swept);
}

}  // namespace entitle
