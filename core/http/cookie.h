// Cookies, read and written. RFC 6265 section 4.2 as browsers send them: pairs
// separated by `;` only (nginx before 1.29.6 also splits at `,`, which is a
// legal byte of a value for many apps, so we read the header ourselves).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/http/set_cookie.h"

namespace entitle {

// Appends every value of cookie `name` in this Cookie header line, in order.
// Views of `header`. Names compare exactly; any name works, dots included.
void cookie_values(std::string_view header, std::string_view name,
                   std::vector<std::string_view>& values);
// Likewise every cookie of the line, names included.
void cookie_pairs(std::string_view header, std::vector<CookiePair>& pairs);

// `entitle_session_cookie name [domain=] [path=] [samesite=] [secure=off]`
struct CookieOptions {
  std::string name = "__Host-entitle";
  std::string domain;
  std::string path = "/";
  std::string same_site = "Lax";  // Strict, Lax or None
  bool secure = true;
};
// Null and `error` set (what is allowed) where browsers would drop the cookie:
// bad name or value bytes, `__Host-` with domain, path other than / or
// secure=off, `__Secure-` with secure=off, SameSite=None with secure=off.
std::optional<CookieOptions> parse_cookie_options(
    const std::vector<std::string_view>& words, std::string& error);

// The Set-Cookie value; HttpOnly always.
std::string set_cookie(const CookieOptions& options, std::string_view value,
                       Seconds max_age);
std::string clear_cookie(const CookieOptions& options);

}  // namespace entitle
