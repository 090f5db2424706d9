#include "core/delivery/listed.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/redis/transaction.h"

namespace entitle {
namespace {

constexpr int kMostChecks = 8;

Members without(const Members& a, const Members& b) {
  Members left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(),
                      std::inserter(left, left.end()));
  return left;
}

struct Watched {
  std::string error{};
  Members there{};
};

// Which of these are on the list; watched from then on.
Conversation<Watched> watch(Delivery& delivery, std::string list,
                            Members members) {
  std::vector<Command> asking;
  for (const std::string& member : members) {
    asking.push_back({"ZSCORE", list, member});
  }
  auto watching =
      delivery.redis.watch_and_ask(std::move(list), std::move(asking));
  std::vector<Reply> scores = co_await watching;
  if (scores.front().is_error()) co_return Watched{scores.front().text};
  Watched watched;
  auto score = scores.begin();
  for (const std::string& member : members) {
    if (!(score++)->is_nil()) watched.there.insert(member);
  }
  co_return watched;
}

}  // namespace

// Also what is on it already is a change of the list, which stops whoever is
// about to take it off: it is put anew where it was.
Conversation<std::string> put_on(Delivery& delivery, std::string list,
                                 Members members) {
  if (members.empty()) co_return std::string();
  std::string now = std::to_string(to_unix(seconds_of(delivery.options)));
  std::vector<Command> commands;
  for (const std::string& member : members) {
    commands.push_back({"ZADD", list, "NX", now, member});
    commands.push_back({"ZSCORE", list, member});
  }
  auto telling = delivery.redis.send(list, std::move(commands));
  std::vector<Reply> replies = co_await telling;
  if (replies.size() != 2 * members.size()) {
    co_return std::string("answers are missing");
  }
  std::string error;
  std::vector<Command> anew;
  auto reply = replies.begin();
  for (const std::string& member : members) {
    const Reply& added = *reply++;
    const Reply& score = *reply++;
    if (added.is_error()) error = added.text;
    if (added.is_error() || added.integer != 0) continue;
    bool scored = score.type == Reply::Type::string;
    anew.push_back({"ZREM", list, member});
    anew.push_back({"ZADD", list, "NX", scored ? score.text : now, member});
  }
  if (anew.empty()) co_return error;
  auto writing = delivery.redis.write(list, std::move(anew));
  CommitReply written = co_await writing;
  if (written.status != Commit::committed) error = written.error;
  co_return error;
}

Conversation<TakenOff> take_off(Delivery& delivery, std::string list,
                                Members members, Belongs belongs) {
  TakenOff taken;
  for (int check = 0; !members.empty() && check < kMostChecks; ++check) {
    auto watching = watch(delivery, list, members);
    Watched watched = co_await watching;
    taken.error = std::move(watched.error);
    if (!taken.error.empty()) co_return taken;
    taken.missing += members.size() - watched.there.size();
    if (watched.there.empty()) co_return taken;
    auto asking = belongs(watched.there);
    std::optional<Members> stay = co_await asking;
    if (!stay) co_return taken;
    members = without(watched.there, *stay);
    if (members.empty()) co_return taken;
    auto committing = delivery.redis.commit(list, to_take_off(list, members));
    CommitReply removed = co_await committing;
    if (removed.status == Commit::committed) taken.count = members.size();
    if (removed.status == Commit::refused) taken.error = removed.error;
    bool again =
        removed.status == Commit::conflict && delivery.redis.try_again();
    if (!again) co_return taken;
  }
  co_return taken;
}

// A member that comes and goes is a change of the list, also where all others
// are on it already: see put_on().
std::vector<Command> to_put_on(const std::string& list, const Members& members,
                               UnixTime now) {
  std::vector<Command> commands;
  if (members.empty()) return commands;
  const std::string time = std::to_string(to_unix(now));
  for (const std::string& member : members) {
    commands.push_back({"ZADD", list, "NX", time, member});
  }
  commands.push_back({"ZADD", list, "NX", "0", "|"});
  commands.push_back({"ZREM", list, "|"});
  return commands;
}

std::vector<Command> to_take_off(const std::string& list,
                                 const Members& members) {
  std::vector<Command> commands;
  for (const std::string& member : members) {
    commands.push_back({"ZREM", list, member});
  }
  return commands;
}

}  // namespace entitle
