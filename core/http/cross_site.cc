#include "core/http/cross_site.h"

#include "core/base/ascii.h"

namespace entitle {

bool is_cross_site(std::optional<std::string_view> sec_fetch_site,
                   std::optional<std::string_view> origin,
                   std::string_view host) {
  if (sec_fetch_site == "same-origin" || sec_fetch_site == "none") return false;
  if (sec_fetch_site && sec_fetch_site != "same-site") return true;
  // Of one site are all hosts below one domain, whoever has them.
  if (!origin) return sec_fetch_site.has_value();
  // The scheme is left out: TLS may end before nginx. `null` has no host.
  const std::size_t scheme = origin->find("://");
  return scheme == std::string_view::npos ||
         !equal_ignoring_case(origin->substr(scheme + 3), host);
}

}  // namespace entitle
