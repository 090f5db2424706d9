#include "core/http/cookie.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle {
namespace {

// Browsers compare these prefixes without regard to case (RFC 6265bis 5.7).
bool has_prefix(std::string_view name, std::string_view prefix) {
  return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

bool is_domain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '-';
  });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_visible(c) && c != ';'; });
}

// `Strict`, `Lax` or `None` as browsers' documentation spells them; empty:
// none of them.
std::string_view same_site_name(std::string_view text) {
  for (std::string_view known : {"Strict", "Lax", "None"}) {
    if (equal_ignoring_case(text, known)) return known;
  }
  return {};
}

// The message of what is allowed instead; empty: taken.
std::string_view take_parameter(std::string_view key, std::string_view value,
                                CookieOptions& options) {
  if (key == "domain") {
    if (!is_domain(value)) return "domain= takes a host name";
    options.domain = value;
  } else if (key == "path") {
    if (!is_path(value)) return "path= must begin with \"/\" and have no \";\"";
    options.path = value;
  } else if (key == "samesite") {
    options.same_site = same_site_name(value);
    if (options.same_site.empty()) {
      return "samesite= must be strict, lax or none";
    }
  } else if (key == "secure") {
    if (value != "on" && value != "off") return "secure= must be on or off";
    options.secure = value == "on";
  } else {
    return "parameters are domain=, path=, samesite= and secure=";
  }
  return {};
}

// Combinations browsers drop the whole cookie for; empty: none.
std::string_view contradiction(const CookieOptions& options) {
  bool host = has_prefix(options.name, "__Host-");
  if (host && !options.domain.empty()) {
    return "a cookie whose name begins with \"__Host-\" cannot have domain=";
  }
  if (host && options.path != "/") {
    return "a cookie whose name begins with \"__Host-\" must have path=/";
  }
  if (options.secure) return {};
  if (host || has_prefix(options.name, "__Secure-") ||
      has_prefix(options.name, "__Http-")) {
    return "secure=off needs a name that does not begin with \"__Host-\", "
           "\"__Secure-\" or \"__Http-\"";
  }
  if (options.same_site == "None") {
    return "samesite=none cannot be combined with secure=off";
  }
  return {};
}

std::string attributes(const CookieOptions& options) {
  std::string text = "; Path=" + options.path;
  if (!options.domain.empty()) text += "; Domain=" + options.domain;
  if (options.secure) text += "; Secure";
  text += "; HttpOnly; SameSite=" + options.same_site;
  return text;
}

}  // namespace

void cookie_values(std::string_view header, std::string_view name,
                   std::vector<std::string_view>& values) {
  while (!header.empty()) {
    std::size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = trim_ows(header.substr(0, end));
    header.remove_prefix(std::min(end + 1, header.size()));

    // Nearly every pair is another cookie's, and most say so at once.
    if (!pair.starts_with(name)) continue;
    std::string_view rest = trim_ows(pair.substr(name.size()));
    if (!rest.starts_with('=')) continue;
    values.push_back(trim_ows(rest.substr(1)));
  }
}

void cookie_pairs(std::string_view header, std::vector<CookiePair>& pairs) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    const std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));

    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    pairs.push_back(
        {trim_ows(pair.substr(0, equals)), trim_ows(pair.substr(equals + 1))});
  }
}

std::optional<CookieOptions> parse_cookie_options(
    const std::vector<std::string_view>& words, std::string& error) {
  if (words.empty() || !is_token(words.front())) {
    error =
        "the first word must be a cookie name: letters, digits and "
        "!#$%&'*+-.^_`|~";
    return std::nullopt;
  }
  CookieOptions options;
  options.name = words.front();

  std::vector<std::string_view> seen;
  for (std::size_t i = 1; i < words.size(); i++) {
    std::size_t equals = std::min(words[i].find('='), words[i].size());
    std::string_view key = words[i].substr(0, equals);
    std::string_view value =
        words[i].substr(std::min(equals + 1, words[i].size()));
    std::string_view refused = take_parameter(key, value, options);
    if (refused.empty() &&
        std::find(seen.begin(), seen.end(), key) != seen.end()) {
      refused = "a parameter may be given once";
    }
    if (!refused.empty()) {
      error = "\"" + std::string(words[i]) + "\": " + std::string(refused);
      return std::nullopt;
    }
    seen.push_back(key);
  }

  if (std::string_view refused = contradiction(options); !refused.empty()) {
    error = refused;
    return std::nullopt;
  }
  return options;
}

std::string set_cookie(const CookieOptions& options, std::string_view value,
                       Seconds max_age) {
  std::string text = options.name + '=';
  text.append(value);
  text += "; Max-Age=" + std::to_string(max_age.count());
  text += attributes(options);
  return text;
}

std::string clear_cookie(const CookieOptions& options) {
  return options.name + "=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT" +
         attributes(options);
}

}  // namespace entitle
