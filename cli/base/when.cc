#include "cli/base/when.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/base/stop.h"
#include "core/base/decimal.h"

namespace entitle::cli {
namespace {

std::optional<Seconds> span_of(std::string_view text) {
  const auto number = parse_decimal<std::int64_t>(take_digits(text), 1'000'000);
  if (!number || text.size() != 1) return std::nullopt;
  switch (text.front()) {
    case 'm':
      return std::chrono::minutes(*number);
    case 'h':
      return std::chrono::hours(*number);
    case 'd':
      return std::chrono::hours(24 * *number);
    case 'w':
      return std::chrono::hours(24 * 7 * *number);
    default:
      return std::nullopt;
  }
}

// "2026-11-01"
std::optional<UnixTime> day_of(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') {
    return std::nullopt;
  }
  const auto year = parse_decimal<int>(text.substr(0, 4));
  const auto month = parse_decimal<unsigned>(text.substr(5, 2));
  const auto day = parse_decimal<unsigned>(text.substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(*month),
                                         std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

}  // namespace

UnixTime time_since(const std::string& text, UnixTime now) {
  if (auto span = span_of(text)) return now - *span;
  if (auto day = day_of(text)) return *day;
  const auto number = parse_decimal<std::int64_t>(text);
  if (text.size() >= 9 && number && is_time(*number)) {
    return unix_time(*number);
  }
  throw Stop(Exit::usage,
             fmt::format("\"{}\" must be a time, like 7d, 12h, 2026-11-01 or "
                         "unix seconds",
                         text));
}

}  // namespace entitle::cli
