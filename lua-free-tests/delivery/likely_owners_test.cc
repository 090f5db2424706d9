#include "core/delivery/likely_owners.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/delivery/delivery.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

void the_last_one_noted_is_remembered(void**) {
  LikelyOwners likely;
  assert_false(likely.of("a").has_value());
  likely.note("a", user("alice"));
  likely.note("a", user("bob"));
  assert_string_equal(likely.of("a")->str().c_str(), "bob");
}

void as_many_as_there_is_room_for_are_remembered(void**) {
  LikelyOwners likely;
  for (std::size_t i = 0; i < 3 * LikelyOwners::kMost; i++) {
    likely.note(std::to_string(i), user("alice"));
    assert_true(likely.size() <= LikelyOwners::kMost);
    assert_true(likely.of(std::to_string(i)).has_value());
  }
  assert_false(likely.of("0").has_value());
}

struct Told {
  DeliveryResult result;
  std::size_t steps;
};

Told tell(MemoryRedis& redis, LikelyOwners& likely, const Delivered& event) {
  DeliveryOptions with = options();
  with.likely = &likely;
  Player player(redis, entitle::deliver(event.facts, event.head, with));
  player.finish();
  return {player.result(), player.steps()};
}

void event_that_names_nobody_takes_two_round_trips(void**) {
  MemoryRedis redis;
  LikelyOwners likely;
  tell(redis, likely,
       purchase("evt_1", "cus_1", "cs_1", {user_claim("evt_1", 1, "alice")}));
  Told told = tell(redis, likely, purchase("evt_2", "cus_1", "cs_2"));
  assert_string_equal(told.result.user->str().c_str(), "alice");
  assert_int_equal(told.steps, 2);
}

void what_is_another_s_meanwhile_goes_to_that_one(void**) {
  MemoryRedis redis;
  LikelyOwners likely, of_another_worker;
  tell(redis, likely,
       purchase("evt_1", "cus_1", "cs_1", {user_claim("evt_1", 1, "alice")}));
  tell(redis, of_another_worker,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 2, "bob")}));
  Told told = tell(redis, likely, purchase("evt_3", "cus_1", "cs_3"));
  assert_string_equal(told.result.user->str().c_str(), "bob");
  assert_true(redis.field("entitle:live:{u:bob}", "source:cs_3").has_value());
  assert_false(
      redis.field("entitle:live:{u:alice}", "source:cs_3").has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_last_one_noted_is_remembered),
      cmocka_unit_test(as_many_as_there_is_room_for_are_remembered),
      cmocka_unit_test(what_is_another_s_meanwhile_goes_to_that_one),
  };
  // Not in a Cluster, where nothing is one transaction.
  const CMUnitTest of_one_server[] = {
      cmocka_unit_test(event_that_names_nobody_takes_two_round_trips),
  };
  int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
  if (options().one_server) {
    failed += cmocka_run_group_tests(of_one_server, nullptr, nullptr);
  }
  return failed;
}
