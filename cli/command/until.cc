#include "cli/command/until.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/decimal.h"

namespace entitle::cli {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

std::optional<int> digits(std::string_view& rest, std::size_t count) {
  if (rest.size() < count) return std::nullopt;
  const auto number = parse_decimal<int>(rest.substr(0, count), 9999);
  rest.remove_prefix(count);
  return number;
}

bool skip(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<sys_days> day_of(std::string_view& rest) {
  const auto year = digits(rest, 4);
  if (!year || !skip(rest, '-')) return std::nullopt;
  const auto month = digits(rest, 2);
  if (!month || !skip(rest, '-')) return std::nullopt;
  const auto day = digits(rest, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(*year), std::chrono::month(*month),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date);
}

std::optional<Seconds> time_of_day(std::string_view& rest) {
  const auto hour = digits(rest, 2);
  if (!hour || *hour > 23 || !skip(rest, ':')) return std::nullopt;
  const auto minute = digits(rest, 2);
  if (!minute || *minute > 59) return std::nullopt;
  Seconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  if (skip(rest, ':')) {
    const auto second = digits(rest, 2);
    if (!second || *second > 59) return std::nullopt;
    time += Seconds(*second);
  }
  skip(rest, 'Z');
  return time;
}

std::optional<UnixTime> parse(std::string_view rest) {
  const auto seconds = parse_decimal<std::int64_t>(rest, (1LL << 40) - 1);
  if (seconds && rest.size() > 8) return unix_time(*seconds);
  const std::optional<sys_days> day = day_of(rest);
  if (!day) return std::nullopt;
  if (rest.empty()) return *day + days(1);
  if (!skip(rest, 'T') && !skip(rest, ' ')) return std::nullopt;
  const std::optional<Seconds> time = time_of_day(rest);
  if (!time || !rest.empty()) return std::nullopt;
  return *day + *time;
}

}  // namespace

UnixTime until_of(const std::string& text) {
  const std::optional<UnixTime> time = parse(text);
  if (time) return *time;
  throw Stop(Exit::usage,
             fmt::format("\"{}\" must be a date, like 2027-01-31 or "
                         "2027-01-31T12:00:00Z",
                         printable(text)));
}

}  // namespace entitle::cli
