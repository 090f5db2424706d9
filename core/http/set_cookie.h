// What somebody else's Set-Cookie headers do (RFC 6265 section 5.2), as far as
// it matters here: which cookie they set, and to what.
#pragma once

#include <optional>
#include <string_view>

namespace entitle {

struct CookiePair {
  std::string_view name;
  std::string_view value;  // as the browser will send it, quotes included
};

// Null: a browser ignores this header (no `=`, or no name).
std::optional<CookiePair> parse_set_cookie(std::string_view header);

}  // namespace entitle
