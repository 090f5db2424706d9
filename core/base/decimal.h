// Decimal numbers as protocols and files write them: digits and nothing else,
// no sign, no blanks.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/base/ascii.h"

namespace entitle {

// Null: not digits alone, or greater than `most`. Leading zeros are taken.
template <std::integral Int>
std::optional<Int> parse_decimal(std::string_view text,
                                 Int most = std::numeric_limits<Int>::max()) {
  if (!std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  Int number = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > most) return std::nullopt;
  return number;
}

// The same, but each number can be written in one way only: no leading zeros.
template <std::integral Int>
std::optional<Int> parse_canonical_decimal(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_decimal<Int>(text);
}

// The digits at the beginning of `text`, which keeps what follows them.
inline std::string_view take_digits(std::string_view& text) {
  auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  std::string_view digits =
      text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

}  // namespace entitle
