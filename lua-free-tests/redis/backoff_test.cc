#include "core/redis/backoff.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Backoff;
using entitle::BackoffPolicy;
using entitle::Milliseconds;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

void steps_double_up_to_the_limit(void**) {
  Backoff shortest({Milliseconds{100}, Milliseconds{1000}});
  Backoff longest({Milliseconds{100}, Milliseconds{1000}});
  for (int step : {100, 200, 400, 800, 1000, 1000}) {
    assert_int_equal(shortest.next(0).count(), step / 2);
    std::uint64_t choices = static_cast<std::uint64_t>(step / 2) + 1;
    assert_int_equal(longest.next(choices - 1).count(), step);
  }
}

void a_reset_starts_over(void**) {
  Backoff backoff({Milliseconds{100}, Milliseconds{1000}});
  backoff.next(0);
  backoff.next(0);
  backoff.reset();
  assert_int_equal(backoff.next(0).count(), 50);
}

void workers_spread_out(void**) {
  std::set<Milliseconds> waits;
  for (std::uint64_t random = 0; random < 1000; ++random) {
    Backoff backoff({Milliseconds{100}, Milliseconds{1000}});
    Milliseconds wait = backoff.next(random);
    assert_true(wait >= Milliseconds{50} && wait <= Milliseconds{100});
    waits.insert(wait);
  }
  assert_int_equal(waits.size(), 51);
}

void odd_limits_neither_overflow_nor_stick(void**) {
  Backoff huge({Milliseconds{1}, Milliseconds::max()});
  Milliseconds last{0};
  for (int i = 0; i < 200; ++i) {
    Milliseconds wait = huge.next(kMost);
    assert_true(wait.count() > 0 && wait >= last / 2);
    last = wait;
  }
  Backoff inverted({Milliseconds{500}, Milliseconds{100}});
  assert_int_equal(inverted.next(0).count(), 50);
  Backoff none({Milliseconds{0}, Milliseconds{0}});
  assert_int_equal(none.next(kMost).count(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(steps_double_up_to_the_limit),
      cmocka_unit_test(a_reset_starts_over),
      cmocka_unit_test(workers_spread_out),
      cmocka_unit_test(odd_limits_neither_overflow_nor_stick),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
