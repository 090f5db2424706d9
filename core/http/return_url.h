// `$entitle_return_url`: where to come back to after logging in or paying.
//
// Path and query of the original request target (RFC 9112 section 3.2),
// percent-encoded so that it is one query argument's value: decoded once it is
// the path and query again, and never leaves the site. Whoever wrote the link
// that was followed chose these bytes, so after the first `/` nothing is left
// that a browser takes for the start of a host (WHATWG URL: `/`, `\`, with
// tabs and line ends in between ignored), percent-encoded or not, and no
// control byte is left anywhere.
#pragma once

#include <string>
#include <string_view>

namespace entitle {

// So that the request for the login page still fits nginx's default header
// buffers (large_client_header_buffers, 8k).
inline constexpr std::size_t kMaxReturnUrl = 4096;

// `target` as received: origin form, or absolute form, whose authority is
// dropped; anything else (`*`) gives "/". What would be longer than
// kMaxReturnUrl gives the path alone, or "/" when that is still too long.
std::string return_url(std::string_view target);

}  // namespace entitle
