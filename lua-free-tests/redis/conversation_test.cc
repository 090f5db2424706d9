#include "core/redis/conversation.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/redis/transaction.h"
#include "lua-free-tests/support/replies.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

Conversation<std::string> ask(std::string word) {
  Exchange exchange(Step{word, {{"GET", word}}});
  std::vector<Reply> replies = co_await exchange;
  co_return replies.at(0).text;
}

Conversation<std::string> ask_twice(std::string first, std::string second) {
  auto one = ask(first);
  std::string a = co_await one;
  auto two = ask(second);
  std::string b = co_await two;
  co_return a + b;
}

Conversation<std::string> nested(int depth) {
  if (depth == 0) {
    auto asking = ask_twice("x", "y");
    std::string both = co_await asking;
    co_return both;
  }
  auto deeper = nested(depth - 1);
  std::string said = co_await deeper;
  co_return said + std::to_string(depth);
}

Conversation<int> throws_after_a_step() {
  auto asking = ask("x");
  co_await asking;
  throw std::runtime_error("broken");
}

Conversation<int> catches() {
  auto failing = throws_after_a_step();
  try {
    int value = co_await failing;
    co_return value;
  } catch (const std::runtime_error&) {
  }
  co_return 7;
}

Conversation<int> says_nothing() { co_return 3; }

void steps_are_sent_in_order_and_answered(void**) {
  Conversation<std::string> talk = ask_twice("a", "b");
  const Step* step = talk.next();
  assert_string_equal(step->key.c_str(), "a");
  assert_ptr_equal(talk.next(), step);
  talk.resume({text("1")});
  assert_string_equal(talk.next()->key.c_str(), "b");
  talk.resume({text("2")});
  assert_null(talk.next());
  assert_string_equal(talk.result().c_str(), "12");
}

void conversation_without_steps_is_over_at_once(void**) {
  Conversation<int> talk = says_nothing();
  assert_null(talk.next());
  assert_int_equal(talk.result(), 3);
}

void nested_conversations_share_one_channel(void**) {
  Conversation<std::string> talk = nested(50);
  int steps = 0;
  while (talk.next()) {
    steps++;
    talk.resume({text("-")});
  }
  assert_int_equal(steps, 2);
  assert_true(talk.result().starts_with("--123"));
}

void conversation_may_be_moved_half_way(void**) {
  Conversation<std::string> talk = ask_twice("a", "b");
  talk.next();
  talk.resume({text("1")});
  Conversation<std::string> moved = std::move(talk);
  assert_string_equal(moved.next()->key.c_str(), "b");
  moved.resume({text("2")});
  Conversation<std::string> assigned = ask("never sent");
  assigned = std::move(moved);
  assert_null(assigned.next());
  assert_string_equal(assigned.result().c_str(), "12");
}

void exceptions_reach_whoever_awaits(void**) {
  Conversation<int> talk = throws_after_a_step();
  while (talk.next()) talk.resume({text("")});
  bool thrown = false;
  try {
    talk.result();
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  assert_true(thrown);

  Conversation<int> caught = catches();
  while (caught.next()) caught.resume({text("")});
  assert_int_equal(caught.result(), 7);
}

// Counts how many of it are alive.
struct Token {
  explicit Token(int& count) : count_(count) { count_++; }
  Token(const Token& other) : count_(other.count_) { count_++; }
  ~Token() { count_--; }
  int& count_;
};

Conversation<int> holds(Token token, int depth) {
  Token local = token;
  if (depth > 0) {
    auto deeper = holds(token, depth - 1);
    co_await deeper;
  }
  auto asking = ask("x");
  co_await asking;
  co_return depth;
}

void everything_is_freed_wherever_it_is_broken_off(void**) {
  for (int when = 0; when < 6; when++) {
    int alive = 0;
    {
      Conversation<int> talk = holds(Token(alive), 3);
      for (int i = 0; i < when && talk.next(); i++) talk.resume({text("")});
      assert_true(alive > 0);
    }
    assert_int_equal(alive, 0);
  }
}

// --- transactions, spoken to by hand ---------------------------------------

std::string words(const Step& step) {
  std::string all;
  for (const Command& command : step.commands) all += command[0] + ' ';
  return all;
}

CommitReply commit_answered(std::vector<Reply> replies) {
  Transactions redis(1);
  auto talk = redis.commit("k", {{"HSET", "k", "f", "v"}});
  assert_string_equal(words(*talk.next()).c_str(), "MULTI HSET EXEC ");
  talk.resume(std::move(replies));
  assert_null(talk.next());
  return talk.result();
}

void commit_tells_conflict_from_refusal(void**) {
  Reply ok = status("OK");
  Reply queued = status("QUEUED");
  assert_true(commit_answered({ok, queued, array({number(1)})}).status ==
              Commit::committed);
  assert_true(commit_answered({ok, queued, Reply()}).status ==
              Commit::conflict);
  CommitReply refused = commit_answered(
      {ok, error("OOM command not allowed"), error("EXECABORT discarded")});
  assert_true(refused.status == Commit::refused);
  assert_string_equal(refused.error.c_str(), "OOM command not allowed");
  assert_true(
      commit_answered({ok, queued, array({error("WRONGTYPE no")})}).status ==
      Commit::refused);
  assert_true(commit_answered({ok, queued, text("?")}).status ==
              Commit::refused);
  assert_true(commit_answered({}).status == Commit::refused);
}

CommitReply commit_waited_for(Reply exec, Reply waited) {
  using std::chrono::milliseconds;
  Transactions redis(1, {.replicas = 2, .time = milliseconds(700)});
  auto talk = redis.commit("k", {{"HSET", "k", "f", "v"}});
  const Step* step = talk.next();
  assert_string_equal(words(*step).c_str(), "MULTI HSET EXEC WAIT ");
  assert_true(step->commands.back() == (Command{"WAIT", "2", "700"}));
  assert_true(step->more_time == milliseconds(700));
  talk.resume(
      {status("OK"), status("QUEUED"), std::move(exec), std::move(waited)});
  assert_null(talk.next());
  return talk.result();
}

void commit_counts_once_enough_replicas_have_it(void**) {
  auto replicas = [](std::int64_t n) {
    return Reply{Reply::Type::integer, n, {}, {}};
  };
  Reply written = array({number(1)});
  assert_true(commit_waited_for(written, replicas(2)).status ==
              Commit::committed);
  assert_true(commit_waited_for(written, replicas(3)).status ==
              Commit::committed);
  CommitReply few = commit_waited_for(written, replicas(1));
  assert_true(few.status == Commit::refused);
  assert_true(few.error.find("1 of 2 replicas") != std::string::npos);
  assert_true(commit_waited_for(written, error("NOPERM no")).status ==
              Commit::refused);
  assert_true(commit_waited_for(written, text("2")).status == Commit::refused);
  // What was not written needs no replica, and is told as what it is.
  assert_true(commit_waited_for(Reply(), replicas(2)).status ==
              Commit::conflict);
  assert_string_equal(
      commit_waited_for(error("EXECABORT no"), replicas(2)).error.c_str(),
      "EXECABORT no");
}

void one_key_is_watched_at_a_time(void**) {
  Transactions redis(1);
  auto first = redis.watch("a");
  assert_string_equal(words(*first.next()).c_str(), "WATCH HGETALL ");
  first.resume({status("OK"), array({})});
  assert_null(first.next());
  auto second = redis.watch("b");
  assert_string_equal(words(*second.next()).c_str(), "UNWATCH WATCH HGETALL ");
  second.resume({status("OK"), status("OK"), array({})});
  assert_null(second.next());
  auto last = redis.send_last("c", {{"SET", "c", "1"}});
  assert_string_equal(words(*last.next()).c_str(), "UNWATCH SET ");
  last.resume({status("OK"), status("OK")});
  assert_null(last.next());
  assert_int_equal(last.result().size(), 1);
}

void refused_watch_is_the_answer(void**) {
  Transactions redis(1);
  auto talk = redis.watch("a");
  talk.next();
  talk.resume({error("LOADING Redis is loading"), array({})});
  assert_null(talk.next());
  assert_true(talk.result().is_error("LOADING"));
}

// The answers of somebody else, or of a connection inside MULTI: nothing about
// the key, least of all that it is unreadable.
void only_a_hash_is_the_answer_to_hgetall(void**) {
  for (const Reply& said :
       {status("QUEUED"), text("x"), number(1), Reply(), array({text("f")}),
        array({text("f"), number(1)})}) {
    Transactions redis(1);
    auto watching = redis.watch("a");
    watching.next();
    watching.resume({status("OK"), said});
    assert_null(watching.next());
    assert_true(watching.result().is_error());
    assert_false(watching.result().is_error("WRONGTYPE"));
    auto reading = redis.read("a");
    reading.next();
    reading.resume({said});
    assert_null(reading.next());
    assert_true(reading.result().is_error());
  }
  Transactions redis(1);
  auto watching = redis.watch("a");
  watching.next();
  watching.resume({status("QUEUED"), array({})});
  assert_null(watching.next());
  assert_true(watching.result().is_error());
}

void pauses_grow_and_end(void**) {
  Transactions redis(1);
  std::chrono::milliseconds longest{0};
  int tries = 0;
  while (redis.try_again()) {
    auto talk = redis.read("k");
    std::chrono::milliseconds pause = talk.next()->pause;
    assert_true(pause >= std::chrono::milliseconds(1));
    assert_true(pause <= std::chrono::milliseconds(std::min(20, tries + 1)));
    longest = std::max(longest, pause);
    talk.resume({array({})});
    auto next = redis.read("k");
    assert_int_equal(next.next()->pause.count(), 0);
    assert_true(++tries < 100);
  }
  assert_true(longest > std::chrono::milliseconds(10));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(steps_are_sent_in_order_and_answered),
      cmocka_unit_test(conversation_without_steps_is_over_at_once),
      cmocka_unit_test(nested_conversations_share_one_channel),
      cmocka_unit_test(conversation_may_be_moved_half_way),
      cmocka_unit_test(exceptions_reach_whoever_awaits),
      cmocka_unit_test(everything_is_freed_wherever_it_is_broken_off),
      cmocka_unit_test(commit_tells_conflict_from_refusal),
      cmocka_unit_test(commit_counts_once_enough_replicas_have_it),
      cmocka_unit_test(one_key_is_watched_at_a_time),
      cmocka_unit_test(refused_watch_is_the_answer),
      cmocka_unit_test(only_a_hash_is_the_answer_to_hgetall),
      cmocka_unit_test(pauses_grow_and_end),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
