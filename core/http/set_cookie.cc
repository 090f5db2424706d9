#include "core/http/set_cookie.h"

#include "core/base/ascii.h"

namespace entitle {

std::optional<CookiePair> parse_set_cookie(std::string_view header) {
  const std::string_view pair = header.substr(0, header.find(';'));
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const CookiePair cookie{trim_ows(pair.substr(0, equals)),
                          trim_ows(pair.substr(equals + 1))};
  if (cookie.name.empty()) return std::nullopt;
  return cookie;
}

}  // namespace entitle
