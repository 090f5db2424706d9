#include "cli/base/text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/base/ascii.h"
#include "core/base/utf8.h"

namespace entitle::cli {
namespace {

// How many columns a terminal needs: a character each, whatever its bytes.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// U+0080 to U+009F move cursors as well.
bool begins_control_character(std::string_view text) {
  return text.size() > 1 && text[0] == '\xc2' &&
         static_cast<unsigned char>(text[1]) < 0xa0;
}

// Those that turn the direction of what stands around them, or that nobody
// sees: U+200B to U+200F, U+202A to U+202E, U+2060 to U+2069, U+FEFF.
bool begins_invisible_character(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) return true;
  if (text.size() < 3 || text[0] != '\xe2') return false;
  const auto last = static_cast<unsigned char>(text[2]);
  if (text[1] == '\x80') {
    return (last >= 0x8b && last <= 0x8f) || (last >= 0xaa && last <= 0xae);
  }
  return text[1] == '\x81' && last >= 0xa0 && last <= 0xa9;
}

std::size_t character_at(std::string_view text) {
  for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (is_utf8(text.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_at(text);
    const bool control = is_control_byte(text[0]) ||
                         begins_control_character(text) ||
                         begins_invisible_character(text);
    if (size != 0 && !control) {
      out += text.substr(0, size);
      text.remove_prefix(size);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string text_of_time(UnixTime time) {
  if (time == kForever) return "for ever";
  if (!is_time(to_unix(time))) return std::to_string(to_unix(time));
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     fmt::gmtime(static_cast<std::time_t>(to_unix(time))));
}

std::string text_of_span(Seconds span) {
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  constexpr Unit units[] = {
      {86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
  const std::int64_t seconds = std::max<std::int64_t>(span.count(), 0);
  for (const Unit& unit : units) {
    if (seconds >= 2 * unit.seconds) {
      return fmt::format("{} {}", seconds / unit.seconds, unit.name);
    }
  }
  return seconds == 1 ? "1 second" : "0 seconds";
}

std::string listed(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " and " : ", ";
    out += words[i];
  }
  return out;
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view harmless = "@%+=:,./-_";
  const bool plain =
      !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_alphanumeric(c) || harmless.find(c) != std::string_view::npos;
      });
  if (plain) return std::string(text);
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return printable(out + '\'');
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace entitle::cli
