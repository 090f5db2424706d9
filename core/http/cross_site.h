// Whether a request was made by a page of another host, by what browsers say of
// that: Sec-Fetch-Site (Fetch Metadata Request Headers, section 2.4), and where
// that is not there, or says no more than that the hosts have a domain in
// common, Origin (RFC 6454), which all of them send with every POST.
#pragma once

#include <optional>
#include <string_view>

namespace entitle {

// Null: the header is not there. `host` is the request's Host, with its port
// where it names one. A program that sends neither header is no page.
bool is_cross_site(std::optional<std::string_view> sec_fetch_site,
                   std::optional<std::string_view> origin,
                   std::string_view host);

}  // namespace entitle
