// What the status page finds, in what real deliveries left.
#include "core/report/search.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

using namespace entitle;
using namespace entitle::test;

namespace {

SearchFound looked(MemoryRedis& redis, const std::string& text) {
  Conversation<SearchFound> talk = search(options().keys, text);
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  return std::move(talk.result());
}

std::string verdict(MemoryRedis& redis, const std::string& text) {
  const SearchFound found = looked(redis, text);
  return verdict_of(
      found, purchases_of(found.sources, grants(), Policy{}, unix_time(kNow)));
}

void assert_verdict(MemoryRedis& redis, const char* text, const char* words) {
  assert_string_equal(verdict(redis, text).c_str(), words);
}

void whose_it_is_is_found_from_any_end(void**) {
  MemoryRedis redis;
  run(redis, deliver(purchase("evt_1", "cus_1", "cs_1",
                              {user_claim("evt_1", 10, "ada")})));
  for (const char* text : {"ada", "u:ada", "cus_1", "evt_1"}) {
    assert_verdict(redis, text, "User \"ada\" holds pro.");
  }
  const SearchFound found = looked(redis, "evt_1");
  assert_string_equal(found.event_outcome.c_str(), "applied");
  assert_true(found.version != 0);
  assert_int_equal(found.log_lines.size(), 1);
}

void what_is_nobodys_says_where_it_waits(void**) {
  MemoryRedis redis;
  Delivered parked = purchase("evt_1", "cus_1", "cs_1");
  says_email(parked, "ann@example.com");
  run(redis, deliver(parked));
  const char* words =
      "It is nobody's: it waits in \"cus_1\" until somebody is named.";
  assert_verdict(redis, "cus_1", words);
  assert_verdict(redis, "evt_1", words);
  assert_verdict(redis, "Ann@Example.com", words);
}

void what_opens_nothing_says_so(void**) {
  MemoryRedis redis;
  run(redis,
      deliver(purchase("evt_1", "cus_1", "cs_1",
                       {user_claim("evt_1", 10, "ada")}, "price_other")));
  assert_verdict(redis, "ada",
                 "User \"ada\" paid for what no entitle_grant names.");
}

void an_email_of_several_is_nobodys_in_particular(void**) {
  MemoryRedis redis;
  for (const char* who : {"1", "2"}) {
    Delivered bought = purchase(
        std::string("evt_") + who, std::string("cus_") + who,
        std::string("cs_") + who,
        {user_claim(std::string("evt_") + who, 10, std::string("user") + who)});
    says_email(bought, "ann@example.com");
    run(redis, deliver(bought));
  }
  assert_verdict(redis, "ann@example.com",
                 "It is several users': u:user1 u:user2. Ask for one.");
}

void who_is_not_there_is_not_known(void**) {
  MemoryRedis redis;
  for (const char* text :
       {"nobody", "cus_none", "evt_none", "a@b.example", "u:cus_1", "{}*"}) {
    const SearchFound found = looked(redis, text);
    assert_false(found.known);
    assert_string_equal(found.error.c_str(), "");
  }
}

void what_cannot_be_read_breaks_nothing(void**) {
  MemoryRedis redis;
  const Keys keys = options().keys;
  redis.run({"SET", keys.record(user("ada")), "x"});
  redis.run({"SET", keys.place("cus_1"), "x"});
  redis.run({"SET", keys.event("evt_1"), "no JSON"});
  redis.run({"SET", keys.email("a@b.example"), "x"});
  for (const char* text : {"ada", "cus_1", "evt_1", "a@b.example"}) {
    assert_true(verdict(redis, text).size() > 10);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(whose_it_is_is_found_from_any_end),
      cmocka_unit_test(what_is_nobodys_says_where_it_waits),
      cmocka_unit_test(what_opens_nothing_says_so),
      cmocka_unit_test(an_email_of_several_is_nobodys_in_particular),
      cmocka_unit_test(who_is_not_there_is_not_known),
      cmocka_unit_test(what_cannot_be_read_breaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
