#include "core/http/return_url.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/hex.h"
#include "core/base/percent.h"

namespace entitle {
namespace {

bool is_scheme(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

// "http://host/a?b" -> "/a?b"; other forms as they are.
std::string_view without_authority(std::string_view target) {
  if (target.starts_with('/')) return target;
  std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos ||
      !is_scheme(target.substr(0, scheme))) {
    return target;
  }
  target.remove_prefix(scheme + 3);
  target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  return target;
}

// How many bytes at the start of `text`, 1 or 3, stand for a slash, a
// backslash, white space or a control byte; 0: none.
std::size_t leading_separator(std::string_view text) {
  auto separates = [](char c) {
    return c == '/' || c == '\\' || c == ' ' || is_control_byte(c);
  };
  if (text.empty()) return 0;
  if (separates(text[0])) return 1;
  if (text[0] != '%' || text.size() < 3) return 0;
  int high = hex_value(text[1]);
  int low = hex_value(text[2]);
  if (high < 0 || low < 0) return 0;
  return separates(static_cast<char>(high << 4 | low)) ? 3 : 0;
}

void append_encoded(std::string& url, std::string_view text) {
  constexpr std::string_view marks = "-._~/";
  for (char c : text) {
    if (is_control_byte(c)) continue;
    bool plain = is_alphanumeric(c) || marks.find(c) != std::string_view::npos;
    if (plain) {
      url += c;
    } else {
      append_percent(url, c);
    }
  }
}

}  // namespace

std::string return_url(std::string_view target) {
  target = without_authority(target);
  if (target.starts_with('/')) {
    while (std::size_t bytes = leading_separator(target)) {
      target.remove_prefix(bytes);
    }
  } else if (!target.starts_with('?')) {
    return "/";
  }

  std::size_t query = std::min(target.find('?'), target.size());
  std::string url = "/";
  append_encoded(url, target.substr(0, query));
  std::size_t path_size = url.size();
  append_encoded(url, target.substr(query));
  if (url.size() > kMaxReturnUrl) url.resize(path_size);
  if (url.size() > kMaxReturnUrl) url = "/";
  return url;
}

}  // namespace entitle
