#include "core/http/cookie_names.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace entitle {

std::optional<CookieNames> CookieNames::parse(std::string_view text) {
  CookieNames names;
  names.text_ = text;
  for (;;) {
    const std::size_t end = std::min(text.find('|'), text.size());
    std::string_view name = text.substr(0, end);
    const bool beginning = name.ends_with('*');
    if (beginning) name.remove_suffix(1);
    if (!is_token(name)) return std::nullopt;
    names.names_.push_back({std::string(name), beginning});
    if (end == text.size()) return names;
    text.remove_prefix(end + 1);
  }
}

bool CookieNames::matches(std::string_view name) const {
  return std::any_of(names_.begin(), names_.end(), [&](const Name& known) {
    return known.beginning ? name.starts_with(known.text) : name == known.text;
  });
}

std::string CookieNames::value(
    const std::vector<CookiePair>& sent,
    const std::vector<std::string>& set_cookies) const {
  std::vector<CookiePair> there;
  for (const CookiePair& cookie : sent) {
    if (matches(cookie.name)) there.push_back(cookie);
  }
  for (const std::string& header : set_cookies) {
    const std::optional<CookiePair> cookie = parse_set_cookie(header);
    if (!cookie || !matches(cookie->name)) continue;
    std::erase_if(there, [&](const CookiePair& known) {
      return known.name == cookie->name;
    });
    if (!cookie->value.empty()) there.push_back(*cookie);
  }
  // Which of several of one name the app reads is its own affair: their order
  // stays.
  std::stable_sort(there.begin(), there.end(),
                   [](const CookiePair& one, const CookiePair& other) {
                     return one.name < other.name;
                   });

  const bool bare = only() != nullptr;
  std::string value;
  for (const CookiePair& cookie : there) {
    if (!value.empty()) value += ';';
    if (!bare) value.append(cookie.name) += '=';
    value += cookie.value;
  }
  return value;
}

}  // namespace entitle
