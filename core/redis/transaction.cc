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

// Redis refuses a command when it is queued (then EXEC says EXECABORT) or when
// it runs (then it is an element of EXEC's answer).
CommitReply judge_replies(const std::vector<Reply>& replies,
                          std::size_t dispensable) {
  for (const Reply& reply : replies) {
    if (reply.is_error()) return {Commit::refused, reply.text};
  }
  if (replies.empty()) return {Commit::refused, "no answer to EXEC"};
  const Reply& exec = replies.back();
  if (exec.is_nil()) return {Commit::conflict, {}};
  if (!exec.is_array()) return {Commit::refused, "EXEC gave no list"};
  const std::vector<Reply>& ran = exec.elements;
  std::size_t needed = ran.size() - std::min(dispensable, ran.size());
  for (std::size_t i = 0; i < ran.size(); i++) {
    if (!ran[i].is_error()) continue;
    return {i < needed ? Commit::refused : Commit::committed, ran[i].text};
  }
  return {Commit::committed, {}};
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

Conversation<Reply> Transactions::watch(std::string key) {
  Step step = make_step(key);
  forget_watch(step);
  step.commands.push_back({"WATCH", key});
  step.commands.push_back({"HGETALL", key});
  watching_ = true;
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  for (Reply& reply : replies) {
    if (reply.is_error()) co_return std::move(reply);
  }
  co_return std::move(replies.back());
}

Conversation<Reply> Transactions::read(std::string key) {
  Step step = make_step(key);
  step.commands.push_back({"HGETALL", key});
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return std::move(replies.back());
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

CommitReply Transactions::judge(std::vector<Reply> replies,
                                std::size_t dispensable) const {
  if (wait_.replicas == 0 || replies.empty()) {
    return judge_replies(replies, dispensable);
  }
  Reply waited = std::move(replies.back());
  replies.pop_back();
  CommitReply reply = judge_replies(replies, dispensable);
  if (reply.status != Commit::committed) return reply;
  CommitReply vouched = judge_replica_wait(waited, wait_.replicas);
  return vouched.status == Commit::committed ? reply : vouched;
}

Conversation<CommitReply> Transactions::commit(std::string key,
                                               std::vector<Command> commands,
                                               std::size_t dispensable) {
  Step step = make_step(std::move(key));
  add_transaction(step, std::move(commands));
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return judge(std::move(replies), dispensable);
}

Conversation<CommitReply> Transactions::write(std::string key,
                                              std::vector<Command> commands) {
  Step step = make_step(std::move(key));
  forget_watch(step);
  add_transaction(step, std::move(commands));
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  co_return judge(std::move(replies), 0);
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
