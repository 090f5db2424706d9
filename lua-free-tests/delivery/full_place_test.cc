// One customer who pays for so many others that whose all of it is has no more
// room: what is new waits, and nothing that is there changes hands.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/outcome.h"
#include "core/record/place.h"
#include "core/redis/reply.h"
#include "core/source/claim.h"
#include "core/source/source.h"
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

DeliveryResult tell(MemoryRedis& redis, const Delivered& delivered) {
  return run(redis, entitle::test::deliver(delivered));
}

bool has(const MemoryRedis& redis, const std::string& name,
         const std::string& id) {
  return redis.field("entitle:live:{u:" + name + "}", "source:" + id)
      .has_value();
}

bool has_ended(const MemoryRedis& redis, const std::string& name,
               const std::string& id) {
  std::optional<Source> source = Source::decode(
      redis.field("entitle:live:{u:" + name + "}", "source:" + id)
          .value_or(""));
  return source && !source->snapshots.empty() &&
         source->snapshots.front().terminal();
}

bool is_parked(const MemoryRedis& redis) {
  return redis.find("entitle:live:parked") != nullptr;
}

void assert_waits(const DeliveryResult& result) {
  assert_true(result.outcome == Outcome::parked);
  assert_non_null(std::strstr(result.error.c_str(), "{p:cus_1} is full"));
}

void unnamed(Delivered& delivered) { delivered.facts.places[0].claims.clear(); }

// sub_1 is alice's, sub_2 carol's, who has all that nothing names; and then
// there are as many of somebody with a long name as have room.
MemoryRedis full() {
  MemoryRedis redis;
  tell(redis, subscribes("evt_1", "sub_1", "alice"));
  Delivered carols = subscribes("evt_2", "sub_2", "carol");
  carols.facts.places[0].claims[0] =
      user_claim("evt_2", 2, "carol", ClaimKind::customer_metadata);
  tell(redis, carols);
  const std::string long_name(250, 'x');
  Command command = {"HSET", kCustomer};
  for (std::size_t i = 0; i * 2 * long_name.size() < Place::kMaxNamingBytes;
       i++) {
    std::string n = std::to_string(i);
    command.push_back("claims:sub_x" + n);
    command.push_back(encode_claims({user_claim("evt_x" + n, 3, long_name)}));
  }
  redis.run(command);
  return redis;
}

void what_is_new_waits_and_nothing_changes_hands(void**) {
  MemoryRedis redis = full();
  for (int again = 0; again < 2; again++) {
    assert_waits(tell(redis, subscribes("evt_3", "sub_new", "bob")));
    for (const char* name : {"alice", "bob", "carol"}) {
      assert_false(has(redis, name, "sub_new"));
    }
    assert_true(redis.field(kCustomer, "source:sub_new").has_value());
    assert_true(is_parked(redis));
  }
  assert_true(has(redis, "alice", "sub_1"));
  assert_true(has(redis, "carol", "sub_2"));
  // Others go on: what is named, and what is not.
  DeliveryResult result = tell(redis, cancels("evt_4", "sub_1"));
  assert_true(result.outcome == Outcome::applied);
  assert_true(has_ended(redis, "alice", "sub_1"));
  Delivered another = subscribes("evt_5", "sub_3", "");
  unnamed(another);
  assert_true(tell(redis, another).outcome == Outcome::applied);
  assert_true(has(redis, "carol", "sub_3"));
  assert_true(is_parked(redis));
}

void what_waits_ends_while_it_waits(void**) {
  MemoryRedis redis = full();
  tell(redis, subscribes("evt_3", "sub_new", "bob"));
  assert_waits(tell(redis, cancels("evt_4", "sub_new")));
  assert_false(has(redis, "carol", "sub_new"));
}

void what_waited_is_given_once_there_is_room(void**) {
  MemoryRedis redis = full();
  tell(redis, subscribes("evt_3", "sub_new", "bob"));
  Command command = {"HDEL", kCustomer};
  for (int i = 0; i < 1000; i++) {
    command.push_back("claims:sub_x" + std::to_string(i));
  }
  redis.run(command);
  tell(redis, cancels("evt_4", "sub_1"));
  assert_true(has(redis, "bob", "sub_new"));
  assert_false(redis.field(kCustomer, "source:sub_new").has_value());
  assert_false(is_parked(redis));
}

// It came unnamed and is carol's; that it is bob's has no room.
void what_cannot_be_named_anew_stays_and_ends(void**) {
  MemoryRedis redis = full();
  Delivered another = subscribes("evt_3", "sub_3", "");
  unnamed(another);
  tell(redis, another);
  assert_true(has(redis, "carol", "sub_3"));
  assert_waits(tell(redis, subscribes("evt_4", "sub_3", "bob")));
  assert_true(has(redis, "carol", "sub_3"));
  assert_false(has(redis, "bob", "sub_3"));
  tell(redis, cancels("evt_5", "sub_3"));
  assert_true(has_ended(redis, "carol", "sub_3"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_new_waits_and_nothing_changes_hands),
      cmocka_unit_test(what_waits_ends_while_it_waits),
      cmocka_unit_test(what_waited_is_given_once_there_is_room),
      cmocka_unit_test(what_cannot_be_named_anew_stays_and_ends),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
