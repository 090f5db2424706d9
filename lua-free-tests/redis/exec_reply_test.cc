#include "core/redis/exec_reply.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lua-free-tests/support/replies.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const Reply kOk = status("OK");
const Reply kQueued = status("QUEUED");
const Reply kNil;

// MULTI, four commands, EXEC, answered one by one.
const std::vector<Command> kCommands = {
    {"MULTI"},
    {"HSET", "k", "f", "v"},
    {"HINCRBY", "k", "version", "1"},
    {"LPUSH", "l", "line"},
    {"LTRIM", "l", "0", "99"},
    {"EXEC"},
};

std::vector<Reply> answers(Reply exec) {
  return {kOk, kQueued, kQueued, kQueued, kQueued, std::move(exec)};
}

const Reply kWritten = array({number(1), number(7), number(3), kOk});

CommitReply judged(const std::vector<Reply>& replies) {
  return judge_exec(kCommands, replies);
}
bool doubted(const std::vector<Reply>& replies) {
  return leaves_doubt(kCommands, replies);
}

void what_fits_is_committed(void**) {
  assert_true(judged(answers(kWritten)).status == Commit::committed);
  assert_false(doubted(answers(kWritten)));
}

void conflict_is_no_refusal_and_leaves_nothing_behind(void**) {
  assert_true(judged(answers(kNil)).status == Commit::conflict);
  assert_false(doubted(answers(kNil)));
}

// Each would have been "applied" with nothing changed.
void what_does_not_fit_is_not_committed_and_ends_the_connection(void**) {
  const std::vector<Reply> lies = {
      array({}),
      array({number(1), number(7), number(3)}),
      array({number(1), number(7), number(3), kOk, kOk}),
      array({kNil, kNil, kNil, kNil}),
      array({text("1"), text("7"), text("3"), text("OK")}),
      array({kOk, kOk, kOk, kOk}),
      array({kQueued, kQueued, kQueued, kQueued}),
      array({number(1), number(7), number(3), number(1)}),
      array({number(1), number(7), array({}), kOk}),
      text("OK"),
      kOk,
      kQueued,
      number(4),
  };
  for (const Reply& lie : lies) {
    CommitReply reply = judged(answers(lie));
    assert_true(reply.status == Commit::refused);
    assert_false(reply.error.empty());
    assert_true(doubted(answers(lie)));
  }
}

void commands_that_ran_outside_the_transaction_commit_nothing(void**) {
  // An ACL without MULTI: each has been written, whatever was watched.
  const std::vector<Reply> replies = {
      error("NOPERM no permissions"), number(1), number(7), number(3), kOk,
      error("ERR EXEC without MULTI")};
  CommitReply reply = judged(replies);
  assert_true(reply.status == Commit::refused);
  assert_string_equal(reply.error.c_str(), "NOPERM no permissions");
  assert_true(doubted(replies));
  // Nor where nobody says so.
  std::vector<Reply> silent = answers(kWritten);
  silent[2] = number(7);
  assert_true(judged(silent).status == Commit::refused);
  assert_true(doubted(silent));
  silent = answers(kWritten);
  silent[0] = kQueued;
  assert_true(judged(silent).status == Commit::refused);
  assert_true(doubted(silent));
}

void any_error_to_exec_ends_the_connection(void**) {
  for (const char* said :
       {"EXECABORT discarded", "NOPERM x", "ERR internal", "MISCONF x", "OOM x",
        "READONLY x", "BUSY x", "LOADING x", "NOAUTH x", "MOVED 1 127.0.0.1:1",
        ""}) {
    assert_true(judged(answers(error(said))).status == Commit::refused);
    assert_true(doubted(answers(error(said))));
  }
}

void error_of_one_command_leaves_the_connection_well(void**) {
  const Reply exec = array({number(1), error("ERR overflow"), number(3), kOk});
  CommitReply reply = judged(answers(exec));
  assert_true(reply.status == Commit::refused);
  assert_string_equal(reply.error.c_str(), "ERR overflow");
  // The last two may fail, not the second; and they must be there.
  assert_true(judge_exec(kCommands, answers(exec), 2).status ==
              Commit::refused);
  const Reply no_log = array(
      {number(1), number(7), error("WRONGTYPE no"), error("WRONGTYPE no")});
  reply = judge_exec(kCommands, answers(no_log), 2);
  assert_true(reply.status == Commit::committed);
  assert_string_equal(reply.error.c_str(), "WRONGTYPE no");
  assert_true(
      judge_exec(kCommands, answers(array({number(1), number(7)})), 2).status ==
      Commit::refused);
  assert_false(doubted(answers(exec)));
}

void answers_too_few_or_too_many_mean_nothing(void**) {
  assert_true(judged({}).status == Commit::refused);
  std::vector<Reply> replies = answers(kWritten);
  replies.erase(replies.begin() + 1);
  assert_true(judged(replies).status == Commit::refused);
  assert_true(doubted(replies));
  replies = answers(kWritten);
  replies.push_back(number(1));
  assert_true(judged(replies).status == Commit::refused);
  assert_true(doubted(replies));
}

void a_watch_that_was_not_taken_ends_the_connection(void**) {
  const std::vector<Command> watch = {
      {"UNWATCH"}, {"WATCH", "k"}, {"HGETALL", "k"}};
  auto doubts = [&](Reply unwatch, Reply watched, Reply hash) {
    const std::vector<Reply> replies = {std::move(unwatch), std::move(watched),
                                        std::move(hash)};
    return leaves_doubt(watch, replies);
  };
  assert_false(doubts(kOk, kOk, array({})));
  // What the key holds is no matter of the connection.
  assert_false(doubts(kOk, kOk, error("WRONGTYPE no hash")));
  assert_true(
      doubts(kOk, error("ERR WATCH inside MULTI is not allowed"), array({})));
  assert_true(doubts(kQueued, kOk, array({})));
  assert_true(doubts(kOk, kQueued, kQueued));
}

void commands_outside_a_transaction_leave_nothing_behind(void**) {
  const std::vector<Command> commands = {{"SET", "k", "v"}, {"HGETALL", "k"}};
  assert_false(
      leaves_doubt(commands, std::vector<Reply>{error("OOM x"), kNil}));
  assert_true(leaves_doubt(commands, std::vector<Reply>{kOk}));
  // WAIT after EXEC says nothing about the transaction.
  std::vector<Command> waited = kCommands;
  waited.push_back({"WAIT", "1", "100"});
  std::vector<Reply> replies = answers(kWritten);
  replies.push_back(error("ERR WAIT cannot be used"));
  assert_false(leaves_doubt(waited, replies));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_fits_is_committed),
      cmocka_unit_test(conflict_is_no_refusal_and_leaves_nothing_behind),
      cmocka_unit_test(
          what_does_not_fit_is_not_committed_and_ends_the_connection),
      cmocka_unit_test(
          commands_that_ran_outside_the_transaction_commit_nothing),
      cmocka_unit_test(any_error_to_exec_ends_the_connection),
      cmocka_unit_test(error_of_one_command_leaves_the_connection_well),
      cmocka_unit_test(answers_too_few_or_too_many_mean_nothing),
      cmocka_unit_test(a_watch_that_was_not_taken_ends_the_connection),
      cmocka_unit_test(commands_outside_a_transaction_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
