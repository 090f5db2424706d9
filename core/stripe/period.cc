#include "core/stripe/period.h"

#include <algorithm>
#include <chrono>

namespace entitle::stripe {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::months;
using std::chrono::year_month;
using std::chrono::year_month_day;
using std::chrono::year_month_day_last;

// The day of this month on which a period ends that wants `anchor`.
year_month_day in_month(year_month month, day anchor) {
  year_month_day_last last(month.year(), month.month() / std::chrono::last);
  return {month.year(), month.month(), std::min(anchor, last.day())};
}

}  // namespace

UnixTime next_period_end(UnixTime start, UnixTime end) {
  // No sum of two times that Stripe could mean is too great, but it may be no
  // such time itself; and calendars end.
  constexpr UnixTime kCalendarEnd =
      std::chrono::sys_days(std::chrono::year(9999) / std::chrono::January / 1);
  if (end >= kCalendarEnd) return end;
  const auto start_day = std::chrono::floor<days>(start);
  const auto end_day = std::chrono::floor<days>(end);
  const year_month_day from(start_day), to(end_day);
  const year_month first(from.year(), from.month());
  const year_month second(to.year(), to.month());
  const day anchor = std::max(from.day(), to.day());
  const months length = second - first;
  bool whole_months =
      length > months{0} && start - start_day == end - end_day &&
      in_month(first, anchor) == from && in_month(second, anchor) == to;
  if (!whole_months) return end + (end - start);
  return std::chrono::sys_days(in_month(second + length, anchor)) +
         (end - end_day);
}

}  // namespace entitle::stripe
