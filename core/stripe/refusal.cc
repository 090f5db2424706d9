#include "core/stripe/refusal.h"

#include <algorithm>
#include <iterator>

#include "core/base/ascii.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxPermissionBytes = 64;
constexpr std::size_t kMostPermissions = 4;
constexpr std::size_t kMaxQuotedBytes = 240;

// Of what Stripe's own ids and names are made of.
std::size_t end_of_word(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() &&
         (is_alphanumeric(text[end]) || text[end] == '_')) {
    ++end;
  }
  return end;
}

bool is_key(std::string_view word) {
  constexpr std::string_view prefixes[] = {"sk_", "rk_", "pk_", "ek_",
                                           "whsec_"};
  return std::any_of(
      std::begin(prefixes), std::end(prefixes),
      [&](std::string_view prefix) { return word.starts_with(prefix); });
}

}  // namespace

std::vector<std::string> lacking_permissions(std::string_view message) {
  constexpr std::string_view prefix = "rak_";
  std::vector<std::string> names;
  while (names.size() < kMostPermissions) {
    std::size_t at = message.find(prefix);
    if (at == std::string_view::npos) break;
    message.remove_prefix(at);
    std::string_view name = message.substr(0, kMaxPermissionBytes);
    name = name.substr(0, end_of_word(name));
    message.remove_prefix(name.size());
    if (name.size() == prefix.size()) continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::string quoted_words(std::string_view message) {
  std::string text = "\"";
  std::string_view rest = message.substr(0, kMaxQuotedBytes);
  while (!rest.empty()) {
    std::size_t size = end_of_word(rest);
    if (is_key(rest.substr(0, size))) {
      size = std::min(rest.find_first_of(" \'\","), rest.size());
      text += "(the key)";
    } else {
      size = std::max<std::size_t>(size, 1);
      text += rest.substr(0, size);
    }
    rest.remove_prefix(size);
  }
  for (char& c : text) {
    if (is_control_byte(c)) c = '?';
  }
  return text + (message.size() > kMaxQuotedBytes ? "...\"" : "\"");
}

}  // namespace entitle
