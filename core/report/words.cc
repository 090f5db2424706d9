#include "core/report/words.h"

#include <algorithm>
#include <chrono>

#include "core/base/ascii.h"

namespace entitle {
namespace {

std::string two_digits(std::int64_t number) {
  std::string text = std::to_string(100 + number % 100);
  return text.substr(1);
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view harmless = "@%+=:,./-_";
  const bool plain =
      !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_alphanumeric(c) || harmless.find(c) != std::string_view::npos;
      });
  if (plain) return std::string(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += is_control_byte(c) ? '?' : c;
    }
  }
  return out + '\'';
}

}  // namespace

std::string span_words(std::int64_t seconds) {
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  constexpr Unit units[] = {
      {86400, " days"}, {3600, " hours"}, {60, " minutes"}, {1, " seconds"}};
  for (const Unit& unit : units) {
    if (seconds >= 2 * unit.seconds) {
      return std::to_string(seconds / unit.seconds) + unit.name;
    }
  }
  return seconds == 1 ? "1 second" : "0 seconds";
}

std::string time_words(std::int64_t unix_seconds) {
  if (!is_time(unix_seconds)) return std::to_string(unix_seconds);
  const UnixTime time = unix_time(unix_seconds);
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::int64_t second = (time - day).count();
  return std::to_string(static_cast<int>(date.year())) + '-' +
         two_digits(static_cast<unsigned>(date.month())) + '-' +
         two_digits(static_cast<unsigned>(date.day())) + ' ' +
         two_digits(second / 3600) + ':' + two_digits(second / 60 % 60) + ':' +
         two_digits(second % 60) + " UTC";
}

std::string count_words(std::int64_t count, std::string_view one,
                        std::string_view several) {
  std::string text = std::to_string(count);
  text += ' ';
  text += count == 1 ? one : several;
  return text;
}

std::string command_words(std::string_view words, std::string_view argument,
                          std::string_view prefix, Mode mode) {
  std::string text = "entitlectl ";
  text += words;
  text += " --mode ";
  text += name(mode);
  if (prefix != "entitle:") {
    text += " --prefix ";
    text += shell_word(prefix);
  }
  if (!argument.empty()) {
    text += ' ';
    text += shell_word(argument);
  }
  return text;
}

}  // namespace entitle
