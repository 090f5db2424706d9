// A customer who pays for many: what one of them buys costs no more than if
// there were few, and whose record need not be looked at is not.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <optional>
#include <string>

#include "core/delivery/delivery.h"
#include "core/delivery/outcome.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const std::string kCustomer = "entitle:live:{p:cus_1}";

std::string number(int n) { return std::to_string(100 + n); }

// The nth tenant subscribes.
Delivered nth(int n) {
  return subscribes("evt_" + number(n), "sub_" + number(n), "u" + number(n), n);
}

bool has(const MemoryRedis& redis, int owner, int source) {
  return redis
      .field("entitle:live:{u:u" + number(owner) + "}",
             "source:sub_" + number(source))
      .has_value();
}

std::size_t cost(MemoryRedis& redis, const Delivered& delivered) {
  std::size_t before = redis.commands();
  DeliveryResult result = run(redis, entitle::test::deliver(delivered));
  assert_true(result.outcome == Outcome::applied);
  return redis.commands() - before;
}

void another_owner_costs_the_same_however_many_there_are(void**) {
  MemoryRedis redis;
  std::size_t fifth = 0;
  for (int n = 0; n < 60; n++) {
    std::size_t commands = cost(redis, nth(n));
    if (n == 5) fifth = commands;
    if (n > 5) assert_int_equal(commands, fifth);
  }
  for (int n = 0; n < 60; n++) assert_true(has(redis, n, n));
  assert_false(redis.field(kCustomer, "concerned").has_value());
}

void what_moves_among_many_leaves_nothing_behind(void**) {
  MemoryRedis redis;
  for (int n = 0; n < 30; n++) cost(redis, nth(n));
  for (int steps = 0; steps < 40; steps++) {
    MemoryRedis broken = redis;
    // sub_103 is the tenth's now, and that breaks off.
    Delivered moves = subscribes("evt_moves", "sub_103", "u110", 90);
    {
      Player player(broken, entitle::test::deliver(moves));
      for (int i = 0; i < steps && !player.done(); i++) player.advance();
    }
    // Another tenant's event finishes it.
    run(broken, entitle::test::deliver(nth(40)));
    run(broken, entitle::test::deliver(moves));
    assert_true(has(broken, 10, 3));
    assert_false(has(broken, 3, 3));
    assert_true(has(broken, 40, 40));
    for (int n : {0, 5, 29}) assert_true(has(broken, n, n));
    assert_false(broken.field(kCustomer, "concerned").has_value());
  }
}

// An older version raises the epoch and knows nothing of who is concerned.
void who_was_concerned_at_another_epoch_says_nothing(void**) {
  MemoryRedis redis;
  for (int n = 0; n < 5; n++) cost(redis, nth(n));
  Delivered moves = subscribes("evt_moves", "sub_101", "u102", 90);
  {
    Player player(redis, entitle::test::deliver(moves));
    while (!player.done() && !redis.field(kCustomer, "concerned")) {
      player.advance();
    }
  }
  std::optional<std::string> concerned = redis.field(kCustomer, "concerned");
  assert_true(concerned.has_value());
  assert_string_equal(concerned->c_str(),
                      R"({"epoch":6,"holders":["u:u101","u:u102","u:u104"]})");
  // It gave sub_100 to another, and broke off.
  redis.run({"HSET", kCustomer, "epoch", "7", "claims:sub_100",
             encode_claims({user_claim("evt_old", 95, "u103")})});
  run(redis, entitle::test::deliver(moves));
  assert_true(has(redis, 3, 0));
  assert_false(has(redis, 0, 0));
  assert_true(has(redis, 2, 1));
  assert_false(has(redis, 1, 1));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(another_owner_costs_the_same_however_many_there_are),
      cmocka_unit_test(what_moves_among_many_leaves_nothing_behind),
      cmocka_unit_test(who_was_concerned_at_another_epoch_says_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
