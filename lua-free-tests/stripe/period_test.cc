#include "core/stripe/period.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <chrono>

#include "core/base/types.h"

using namespace entitle;

namespace {

UnixTime date(int year, unsigned month, unsigned day, int hour = 9) {
  return std::chrono::sys_days(std::chrono::year_month_day(
             std::chrono::year(year), std::chrono::month(month),
             std::chrono::day(day))) +
         std::chrono::hours(hour);
}

void months_follow_months(void**) {
  struct {
    UnixTime start, end, next;
  } cases[] = {
      {date(2026, 1, 15), date(2026, 2, 15), date(2026, 3, 15)},
      {date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)},  // 28, then 31
      {date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)},
      {date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)},
      {date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)},
      {date(2026, 1, 30), date(2026, 2, 28), date(2026, 3, 30)},
      {date(2026, 1, 28), date(2026, 2, 28), date(2026, 3, 28)},
      {date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1)},  // a quarter
      {date(2027, 3, 1), date(2028, 3, 1), date(2029, 3, 1)},  // a leap year
      {date(2027, 2, 28), date(2028, 2, 28), date(2029, 2, 28)},
      {date(2028, 2, 29), date(2029, 2, 28), date(2030, 2, 28)},
  };
  for (const auto& one : cases) {
    assert_int_equal(to_unix(stripe::next_period_end(one.start, one.end)),
                     to_unix(one.next));
  }
}

void other_lengths_are_repeated(void**) {
  assert_int_equal(
      to_unix(stripe::next_period_end(date(2026, 1, 1), date(2026, 1, 8))),
      to_unix(date(2026, 1, 15)));
  // Another hour: no month, but so many seconds.
  assert_int_equal(
      to_unix(stripe::next_period_end(date(2026, 2, 1), date(2026, 3, 1, 10))),
      to_unix(date(2026, 3, 29, 11)));
  // Another day: neither.
  assert_int_equal(
      to_unix(stripe::next_period_end(date(2026, 1, 5), date(2026, 2, 7))),
      to_unix(date(2026, 3, 12)));
}

void far_times_stay_times(void**) {
  const UnixTime last = unix_time((std::int64_t{1} << 40) - 1);
  const UnixTime far = date(9998, 12, 1);
  for (UnixTime start : {unix_time(1), date(9000, 1, 1), far}) {
    for (UnixTime end : {far + Seconds{1}, last}) {
      UnixTime next = stripe::next_period_end(start, end);
      assert_true(next >= end);
      assert_true(is_time(to_unix(next)));
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(months_follow_months),
      cmocka_unit_test(other_lengths_are_repeated),
      cmocka_unit_test(far_times_stay_times),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
