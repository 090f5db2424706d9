#include "core/redis/error.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::ErrorMeaning;
using entitle::meaning_of;
using entitle::Reply;

ErrorMeaning meaning(std::string_view text) {
  Reply reply;
  reply.type = Reply::Type::error;
  reply.text = text;
  return meaning_of(reply);
}

// The texts are Redis 7.0's own.
void a_server_that_cannot_serve_sends_us_elsewhere(void**) {
  for (std::string_view text :
       {"READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
        "set to 'no'."}) {
    assert_true(meaning(text) == ErrorMeaning::elsewhere);
  }
}

void a_server_in_trouble_is_asked_later(void**) {
  for (std::string_view text :
       {"CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "BUSY Redis is busy running a script.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots",
        "NOREPLICAS Not enough good replicas to write.",
        "ERR max number of clients reached"}) {
    assert_true(meaning(text) == ErrorMeaning::later);
  }
}

void a_refusal_needs_an_operator(void**) {
  for (std::string_view text :
       {"NOAUTH Authentication required.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOPERM this user has no permissions to run the 'hgetall' command"}) {
    assert_true(meaning(text) == ErrorMeaning::refused);
  }
}

void the_rest_is_the_commands_own_fault(void**) {
  assert_true(meaning("WRONGTYPE Operation against a key holding the wrong "
                      "kind of value") == ErrorMeaning::wrong);
  assert_true(meaning("ERR unknown command") == ErrorMeaning::wrong);
  assert_true(meaning("READONLYISH") == ErrorMeaning::wrong);
  assert_true(meaning("") == ErrorMeaning::wrong);
}

void redirects_and_answers_are_told_apart(void**) {
  assert_true(meaning("MOVED 1 h:2") == ErrorMeaning::redirected);
  assert_true(meaning("ASK 1 h:2") == ErrorMeaning::redirected);
  Reply reply;
  reply.type = Reply::Type::string;
  reply.text = "READONLY";
  assert_true(meaning_of(reply) == ErrorMeaning::none);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_server_that_cannot_serve_sends_us_elsewhere),
      cmocka_unit_test(a_server_in_trouble_is_asked_later),
      cmocka_unit_test(a_refusal_needs_an_operator),
      cmocka_unit_test(the_rest_is_the_commands_own_fault),
      cmocka_unit_test(redirects_and_answers_are_told_apart),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
