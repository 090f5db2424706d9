#include "core/redis/transaction.h"

#include <algorithm>
#include <iterator>

namespace entitle {
namespace {

constexpr int kMaxTries = 40;
constexpr std::uint64_t kMaxPauseMs = 20;

// Source: https://prng.di.unimi.it/splitmix64.c
std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// A hash as HGETALL gives it, or an error: what else came is no hash of Redis'
// but the answer to something else, and says nothing about the key.
Reply hash_or_error(Reply reply) {
  const auto is_string = [](const Reply& part) {
    return part.type == Reply::Type::string;
  };
  const bool hash =
      reply.is_array() && reply.elements.size() % 2 == 0 &&
      std::all_of(reply.elements.begin(), reply.elements.end(), is_string);
  if (hash || reply.is_error()) return reply;
  return {Reply::Type::error, 0, "HGETALL gave no hash", {}};
}

// What WAIT says about what EXEC wrote.
CommitReply judge_replica_wait(const Reply& reply, int wanted) {
  if (reply.is_error()) return {Commit::refused, "WAIT: " + reply.text};
  if (reply.type != Reply::Type::integer) {
    return {Commit::refused, "WAIT gave no number"};
  }
  if (reply.integer >= wanted) return {Commit::committed, {}};
  return {Commit::refused, "written, but only " +
                               std::to_string(reply.integer) + " of " +
                               std::to_string(wanted) +
                               " replicas said in time that they have it"};
}

}  // namespace

Step Transactions::make_step(std::string key) {
  Step step{std::move(key), {}, pause_};
  pause_ = std::chrono::milliseconds(0);
  return step;
}

void Transactions::forget_watch(Step& step) {
  if (watching_) step.commands.push_back({"UNWATCH"});
  watching_ = false;
}

// The replies to the last `asked` commands, or the first error.
Conversation<std::vector<Reply>> Transactions::ask_watching(Step step,
                                                            std::size_t asked) {
  watching_ = true;
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  for (const Reply& reply : replies) {
    if (reply.is_error()) co_return std::vector<Reply>{reply};
  }
  if (leaves_doubt(exchange.step().commands, replies)) {
    co_return std::vector<Reply>{
        Reply{Reply::Type::error, 0, "WATCH was not taken", {}}};
  }
  replies.erase(replies.begin(),
                replies.end() - static_cast<std::ptrdiff_t>(asked));
  co_return replies;
}

Conversation<std::vector<Reply>> Transactions::watch_and_ask(
    std::string key, std::vector<Command> asking) {
  Step step = make_step(key);
  forget_watch(step);
  step.commands.push_back({"WATCH", std::move(key)});
  const std::size_t asked = asking.size();
  std::move(asking.begin(), asking.end(), std::back_inserter(step.commands));
  auto watching = ask_watching(std::move(step), asked);
  std::vector<Reply> replies = co_await watching;
  co_return replies;
}

// One WATCH before all that is read.
Conversation<std::vector<Reply>> Transactions::watch_all(
    std::vector<std::string> keys, std::vector<Command> asking) {
  Step step = make_step(keys.front());
  forget_watch(step);
  Command& watch = step.commands.emplace_back(Command{"WATCH"});
  watch.insert(watch.end(), keys.begin(), keys.end());
  for (std::string& key : keys) {
    step.commands.push_back({"HGETALL", std::move(key)});
  }
  const std::size_t asked = keys.size() + asking.size();
  std::move(asking.begin(), asking.end(), std::back_inserter(step.commands));
  auto watching = ask_watching(std::move(step), asked);
  std::vector<Reply> replies = co_await watching;
  if (replies.size() == asked) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      replies[i] = hash_or_error(std::move(replies[i]));
    }
  }
  co_return replies;
}

Conversation<Reply> Transactions::watch_too(std::string key) {
  Step step = make_step(key);
  step.commands.push_back({"WATCH", key});
  step.commands.push_back({"HGETALL", std::move(key)});
  auto watching = ask_watching(std::move(step), 1);
  std::vector<Reply> replies = co_await watching;
  co_return hash_or_error(std::move(replies.back()));
}

Conversation<Reply> Transactions::watch(std::string key) {
  std::vector<Command> asking;
  asking.push_back({"HGETALL", key});
  auto watching = watch_and_ask(std::move(key), std::move(asking));
  std::vector<Reply> replies = co_await watching;
  co_return hash_or_error(std::move(replies.back()));
}

Conversation<Reply> Transactions::read(std::string key) {
  Step step = make_step(key);
  step.commands.push_back({"HGETALL", key});
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return hash_or_error(std::move(replies.back()));
}

void Transactions::add_transaction(Step& step, std::vector<Command> commands) {
  step.commands.reserve(step.commands.size() + commands.size() + 3);
  step.commands.push_back({"MULTI"});
  std::move(commands.begin(), commands.end(),
            std::back_inserter(step.commands));
  step.commands.push_back({"EXEC"});
  if (wait_.replicas > 0) {
    step.commands.push_back({"WAIT", std::to_string(wait_.replicas),
                             std::to_string(wait_.time.count())});
    step.more_time = wait_.time;
  }
  watching_ = false;
}

CommitReply Transactions::judge(std::span<const Command> sent,
                                std::span<const Reply> replies,
                                std::size_t dispensable) const {
  if (replies.size() != sent.size()) {
    return {Commit::refused, "answers are missing"};
  }
  if (sent.front().front() == "UNWATCH") {
    sent = sent.subspan(1);
    replies = replies.subspan(1);
  }
  if (wait_.replicas == 0) return judge_exec(sent, replies, dispensable);
  CommitReply reply =
      judge_exec(sent.first(sent.size() - 1), replies.first(replies.size() - 1),
                 dispensable);
  if (reply.status != Commit::committed) return reply;
  CommitReply vouched = judge_replica_wait(replies.back(), wait_.replicas);
  return vouched.status == Commit::committed ? reply : vouched;
}

Conversation<CommitReply> Transactions::commit(std::string key,
                                               std::vector<Command> commands,
                                               std::size_t dispensable) {
  Step step = make_step(std::move(key));
  add_transaction(step, std::move(commands));
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return judge(exchange.step().commands, replies, dispensable);
}

Conversation<CommitReply> Transactions::write(std::string key,
                                              std::vector<Command> commands) {
  Step step = make_step(std::move(key));
  forget_watch(step);
  add_transaction(step, std::move(commands));
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return judge(exchange.step().commands, replies, 0);
}

Conversation<std::vector<Reply>> Transactions::send(
    std::string key, std::vector<Command> commands) {
  Step step = make_step(std::move(key));
  step.commands = std::move(commands);
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return replies;
}

Conversation<std::vector<Reply>> Transactions::send_last(
    std::string key, std::vector<Command> commands) {
  Step step = make_step(std::move(key));
  std::size_t before = watching_ ? 1 : 0;
  forget_watch(step);
  std::move(commands.begin(), commands.end(),
            std::back_inserter(step.commands));
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  replies.erase(replies.begin(),
                replies.begin() + static_cast<std::ptrdiff_t>(before));
  co_return replies;
}

bool Transactions::try_again() {
  if (++tries_ > kMaxTries) return false;
  std::uint64_t longest =
      std::min<std::uint64_t>(kMaxPauseMs, static_cast<std::uint64_t>(tries_));
  pause_ = std::chrono::milliseconds(1 + split_mix(random_) % longest);
  return true;
}

}  // namespace entitle
