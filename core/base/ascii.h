// ASCII, whatever the process' locale: which bytes are what, letter case, the
// blanks around a header's value. Bytes above 0x7f are none of these.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace entitle {

// 0x00-0x1f and 0x7f: never part of a name, an id or a URL of ours.
constexpr bool is_control_byte(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
inline bool has_control_bytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control_byte);
}

// 0x21-0x7e: what can be seen.
constexpr bool is_visible(char c) { return c > 0x20 && c < 0x7f; }
inline bool all_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_visible);
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// A token of RFC 9110 section 5.6.2: the name of a header or cookie.
inline bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || marks.find(c) != std::string_view::npos;
  });
}

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), ascii_lower);
  return lower;
}
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return ascii_lower(x) == ascii_lower(y);
  });
}

// Optional white space of RFC 9110 section 5.6.3.
constexpr bool is_ows(char c) { return c == ' ' || c == '\t'; }
inline std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace entitle
