#include "core/redis/breaker.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Breaker;
using entitle::BreakerPolicy;
using entitle::Milliseconds;
using entitle::mono_time;
using entitle::MonoTime;
using State = entitle::Breaker::State;

const BreakerPolicy kPolicy = {
    3, {Milliseconds{100}, Milliseconds{400}}, Milliseconds{1000}};

// Three failures in a row at `now`: waits 50 ms (random 0 takes the shortest).
void open(Breaker& breaker, MonoTime now) {
  for (unsigned i = 0; i < kPolicy.failures; ++i) {
    breaker.failed(*breaker.pass(now), now, 0);
  }
  assert_true(breaker.state() == State::open);
}

void failures_in_a_row_open_it(void**) {
  Breaker breaker(kPolicy);
  MonoTime now = mono_time(0);
  breaker.failed(*breaker.pass(now), now, 0);
  breaker.failed(*breaker.pass(now), now, 0);
  breaker.succeeded(*breaker.pass(now));
  breaker.failed(*breaker.pass(now), now, 0);
  breaker.failed(*breaker.pass(now), now, 0);
  assert_true(breaker.state() == State::closed);
  breaker.failed(*breaker.pass(now), now, 0);
  assert_true(breaker.state() == State::open);
  assert_false(breaker.pass(now).has_value());
  assert_int_equal(breaker.wait(now).count(), 50);
}

void one_probe_passes_after_the_backoff(void**) {
  Breaker breaker(kPolicy);
  open(breaker, mono_time(0));
  assert_false(breaker.pass(mono_time(49)).has_value());
  assert_true(breaker.pass(mono_time(50)).has_value());
  assert_true(breaker.state() == State::half_open);
  assert_false(breaker.pass(mono_time(50)).has_value());
  assert_false(breaker.pass(mono_time(1049)).has_value());
}

void a_probe_that_succeeds_closes_it(void**) {
  Breaker breaker(kPolicy);
  open(breaker, mono_time(0));
  breaker.succeeded(*breaker.pass(mono_time(50)));
  assert_true(breaker.state() == State::closed);
  assert_true(breaker.pass(mono_time(50)).has_value());
  open(breaker, mono_time(60));
  assert_int_equal(breaker.wait(mono_time(60)).count(), 50);
}

void a_probe_that_fails_waits_longer_each_time(void**) {
  Breaker breaker(kPolicy);
  MonoTime now = mono_time(0);
  open(breaker, now);
  for (int wait : {100, 200, 200}) {
    now += breaker.wait(now);
    breaker.failed(*breaker.pass(now), now, 0);
    assert_int_equal(breaker.wait(now).count(), wait);
  }
}

void what_was_under_way_when_it_opened_decides_nothing(void**) {
  Breaker breaker(kPolicy);
  MonoTime now = mono_time(0);
  Breaker::Ticket slow = *breaker.pass(now);
  open(breaker, now);
  breaker.succeeded(slow);
  assert_true(breaker.state() == State::open);
  breaker.failed(slow, now, 0);
  assert_int_equal(breaker.wait(now).count(), 50);

  Breaker::Ticket probe = *breaker.pass(mono_time(50));
  breaker.failed(slow, mono_time(50), 0);
  assert_true(breaker.state() == State::half_open);
  breaker.succeeded(probe);
  breaker.failed(slow, mono_time(50), 0);
  assert_true(breaker.state() == State::closed);
}

// One connection is the probe, serves, and fails: it must be heard again.
void the_probe_that_closed_it_can_open_it_again(void**) {
  Breaker breaker(kPolicy);
  open(breaker, mono_time(0));
  Breaker::Ticket probe = *breaker.pass(mono_time(50));
  breaker.succeeded(probe);
  assert_true(*breaker.pass(mono_time(60)) == probe);
  for (unsigned i = 0; i < kPolicy.failures; ++i) {
    assert_true(breaker.state() == State::closed);
    breaker.failed(probe, mono_time(70), 0);
  }
  assert_true(breaker.state() == State::open);
}

void a_probe_that_never_reports_is_given_up(void**) {
  Breaker breaker(kPolicy);
  open(breaker, mono_time(0));
  Breaker::Ticket lost = *breaker.pass(mono_time(50));
  Breaker::Ticket second = *breaker.pass(mono_time(1050));
  breaker.succeeded(lost);
  assert_true(breaker.state() == State::half_open);
  breaker.succeeded(second);
  assert_true(breaker.state() == State::closed);
}

// Against a Redis that hangs and comes back: while it hangs, few attempts are
// made; once it answers, service is back within the longest backoff.
void a_hung_server_costs_few_attempts(void**) {
  std::mt19937_64 random(7);
  Breaker breaker(kPolicy);
  int attempts = 0;
  for (int t = 0; t < 10000; ++t) {
    auto ticket = breaker.pass(mono_time(t));
    if (!ticket) continue;
    ++attempts;
    breaker.failed(*ticket, mono_time(t), random());
  }
  // At most: 3 to open, then one each 200 to 400 ms.
  assert_in_range(attempts, 10000 / 400, 3 + 3 + 10000 / 200);
  assert_true(breaker.wait(mono_time(10000)) <= Milliseconds{400});
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(failures_in_a_row_open_it),
      cmocka_unit_test(one_probe_passes_after_the_backoff),
      cmocka_unit_test(a_probe_that_succeeds_closes_it),
      cmocka_unit_test(a_probe_that_fails_waits_longer_each_time),
      cmocka_unit_test(what_was_under_way_when_it_opened_decides_nothing),
      cmocka_unit_test(the_probe_that_closed_it_can_open_it_again),
      cmocka_unit_test(a_probe_that_never_reports_is_given_up),
      cmocka_unit_test(a_hung_server_costs_few_attempts),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
