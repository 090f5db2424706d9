// What a record remembers of the places its facts came from: of few of them a
// mark, of all others no more than a floor; and what is late is refused by
// either.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/outcome.h"
#include "core/record/record.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const std::string kAlice = "entitle:live:{u:alice}";
const std::string kBob = "entitle:live:{u:bob}";
const std::string kCustomer = "entitle:live:{p:cus_1}";

DeliveryResult tell(MemoryRedis& redis, const Delivered& event) {
  return run(redis, entitle::test::deliver(event));
}

std::size_t count(const MemoryRedis& redis, const std::string& key,
                  std::string_view prefix) {
  std::size_t count = 0;
  for (const auto& [field, text] :
       std::get<MemoryRedis::Hash>(*redis.find(key))) {
    if (field.starts_with(prefix)) ++count;
  }
  return count;
}

// Each at a customer of its own, which sorts behind cus_1.
Delivered elsewhere(int n, const char* who) {
  std::string number = std::to_string(1000 + n);
  std::string event = "evt_" + number;
  return purchase(event, "cus_" + number, "cs_" + number,
                  {user_claim(event, n, who)});
}

void crowd(MemoryRedis& redis, int from, int to) {
  for (int n = from; n < to; ++n) {
    tell(redis, elsewhere(n, "alice"));
    tell(redis, elsewhere(n + 5000, "bob"));
  }
}

// As if they had many places that changed hands since.
void push_marks_out(MemoryRedis& redis) {
  for (std::size_t n = 0; n < Record::kMaxMarks; ++n) {
    std::string mark = "place:cus_other" + std::to_string(n);
    redis.run({"HSET", kAlice, mark, "9 live"});
    redis.run({"HSET", kBob, mark, "9 live"});
  }
  crowd(redis, 0, 1);
}

constexpr int kMany = 3 * Record::kMaxMarks;

void a_record_does_not_grow_with_the_places_it_saw(void**) {
  MemoryRedis redis;
  crowd(redis, 0, kMany);
  for (const std::string& record : {kAlice, kBob}) {
    assert_int_equal(count(redis, record, "source:"), kMany);
    assert_int_equal(count(redis, record, "place:"), Record::kMaxMarks);
    assert_true(redis.field(record, "place_floor").has_value());
  }
}

void marks_of_before_are_dropped_with_the_next_event(void**) {
  MemoryRedis redis;
  tell(redis, elsewhere(1, "alice"));
  for (int n = 0; n < 5000; ++n) {
    redis.run({"HSET", kAlice, "place:cus_old" + std::to_string(n), "7 gone"});
  }
  tell(redis, elsewhere(2, "alice"));
  assert_int_equal(count(redis, kAlice, "place:"), Record::kMaxMarks);
  assert_string_equal(redis.field(kAlice, "place_floor")->c_str(), "7");
}

void an_event_of_a_place_without_a_mark_is_applied(void**) {
  MemoryRedis redis;
  tell(redis,
       purchase("evt_1", "cus_1", "cs_1", {user_claim("evt_1", 10, "alice")}));
  crowd(redis, 0, kMany);
  assert_false(redis.field(kAlice, "place:cus_1").has_value());
  for (const char* event : {"evt_2", "evt_3", "evt_2"}) {
    DeliveryResult result = tell(redis, purchase(event, "cus_1", "cs_2"));
    assert_string_equal(result.error.c_str(), "");
    assert_true(result.outcome == Outcome::applied ||
                result.outcome == Outcome::duplicate);
    assert_string_equal(redis.field(kCustomer, "to")->c_str(), "u:alice");
    assert_false(redis.field(kCustomer, "source:cs_2").has_value());
  }
  assert_true(redis.field(kAlice, "source:cs_2").has_value());
  assert_true(redis.field(kAlice, "place:cus_1").has_value());
}

// False: it was over before it could be late.
bool stays_with_bob(const char* first, const std::vector<Claim>& claims,
                    int steps) {
  MemoryRedis redis;
  tell(redis,
       purchase("evt_1", "cus_1", "cs_1", {user_claim("evt_1", 10, first)}));
  Player late(redis, entitle::test::deliver(
                         purchase("evt_9", "cus_1", "cs_9", claims)));
  for (int i = 0; i < steps && !late.done(); ++i) late.advance();
  bool over = late.done();
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 30, "bob")}));
  push_marks_out(redis);
  assert_false(redis.field(kAlice, "place:cus_1").has_value());
  late.finish();
  for (const char* source : {"source:cs_1", "source:cs_2", "source:cs_9"}) {
    if (redis.field(kAlice, source).has_value() ||
        !redis.field(kBob, source).has_value()) {
      fail_msg("%s, %d steps: %s", first, steps, source);
    }
  }
  assert_string_equal(redis.field(kCustomer, "to")->c_str(), "u:bob");
  return !over;
}

// One delivery stands still after any number of its steps, until the place is
// another's and nobody's record has a mark of it.
void what_is_late_is_refused_without_a_mark(void**) {
  const std::vector<Claim> none;
  const std::vector<Claim> hers = {user_claim("evt_9", 20, "alice")};
  for (const char* first : {"alice", "bob"}) {
    for (const std::vector<Claim>& claims : {none, hers}) {
      int steps = 0;
      while (stays_with_bob(first, claims, steps)) ++steps;
      assert_true(steps > 3);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_record_does_not_grow_with_the_places_it_saw),
      cmocka_unit_test(marks_of_before_are_dropped_with_the_next_event),
      cmocka_unit_test(an_event_of_a_place_without_a_mark_is_applied),
      cmocka_unit_test(what_is_late_is_refused_without_a_mark),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
