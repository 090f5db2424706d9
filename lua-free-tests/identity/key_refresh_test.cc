#include "core/identity/key_refresh.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

using entitle::KeyNeed;
using entitle::KeyRefresh;
using entitle::mono_time;
using Step = entitle::KeyRefresh::Step;

namespace {

constexpr std::int64_t kMinute = 60'000;

struct Clock {
  KeyRefresh keys;
  std::int64_t ms = 1000;
  entitle::MonoTime now() const { return mono_time(ms); }
  void expect(KeyNeed need, Step step) {
    assert_int_equal(keys.step(need, now()), step);
  }
  void ask() {
    expect(KeyNeed::missing, Step::ask);
    keys.asked(now());
  }
  void fetch() {
    ask();
    keys.answered(true, now());
  }
};

void the_first_who_needs_keys_asks_and_the_others_wait(void**) {
  Clock clock;
  assert_int_equal(clock.keys.by_age(clock.now()), KeyNeed::none);
  clock.ask();
  clock.expect(KeyNeed::missing, Step::wait);
  clock.expect(KeyNeed::none, Step::go_on);
  clock.keys.answered(true, clock.now());
  clock.expect(KeyNeed::none, Step::go_on);
}

void strange_tokens_ask_once_in_five_seconds(void**) {
  Clock clock;
  clock.fetch();
  int asked = 0;
  for (int i = 0; i < 6000; i++, clock.ms += 10) {
    if (clock.keys.step(KeyNeed::missing, clock.now()) == Step::ask) {
      clock.keys.asked(clock.now());
      clock.keys.answered(true, clock.now());
      asked++;
    }
  }
  assert_int_equal(asked, 11);  // a minute, and once was just before it
}

void a_failure_is_not_repeated_at_once_either(void**) {
  Clock clock;
  clock.ask();
  clock.ms += 100;
  clock.keys.answered(false, clock.now());
  clock.expect(KeyNeed::missing, Step::go_on);
  clock.ms += 4899;
  clock.expect(KeyNeed::missing, Step::go_on);
  clock.ms += 1;
  clock.expect(KeyNeed::missing, Step::ask);
}

void old_keys_are_renewed_by_one_while_others_go_on(void**) {
  Clock clock;
  clock.fetch();
  clock.ms += 12 * kMinute - 1;
  assert_int_equal(clock.keys.by_age(clock.now()), KeyNeed::none);
  clock.ms += 1;
  assert_int_equal(clock.keys.by_age(clock.now()), KeyNeed::newer);
  clock.expect(KeyNeed::newer, Step::ask);
  clock.keys.asked(clock.now());
  clock.expect(KeyNeed::newer, Step::go_on);
  clock.expect(KeyNeed::missing, Step::wait);
  clock.keys.answered(true, clock.now());
  assert_int_equal(clock.keys.by_age(clock.now()), KeyNeed::none);
}

void nobody_goes_on_with_keys_of_fifteen_minutes_untried(void**) {
  Clock clock;
  clock.fetch();
  clock.ms += 15 * kMinute;
  clock.ask();
  clock.expect(KeyNeed::newer, Step::wait);
  clock.keys.answered(false, clock.now());
  clock.expect(KeyNeed::newer, Step::go_on);
  assert_int_equal(clock.keys.by_age(clock.now()), KeyNeed::newer);
}

void nobody_waits_for_an_answer_that_does_not_come(void**) {
  Clock clock;
  clock.ask();
  clock.ms += 4999;
  clock.expect(KeyNeed::missing, Step::wait);
  clock.ms += 1;
  clock.expect(KeyNeed::missing, Step::go_on);
  clock.ms += 60'000;
  clock.expect(KeyNeed::missing, Step::go_on);  // one question at a time
  clock.keys.answered(false, clock.now());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_first_who_needs_keys_asks_and_the_others_wait),
      cmocka_unit_test(strange_tokens_ask_once_in_five_seconds),
      cmocka_unit_test(a_failure_is_not_repeated_at_once_either),
      cmocka_unit_test(old_keys_are_renewed_by_one_while_others_go_on),
      cmocka_unit_test(nobody_goes_on_with_keys_of_fifteen_minutes_untried),
      cmocka_unit_test(nobody_waits_for_an_answer_that_does_not_come),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
