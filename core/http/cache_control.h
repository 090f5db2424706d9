// Cache-Control of a gated answer (RFC 9111 section 5.2.2): what one user may
// see must not be kept by a cache that serves many.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace entitle {

// The value for an answer that was let through, given every Cache-Control line
// the answer has so far: `private` with all that does not contradict it
// (`public`, `s-maxage` and `proxy-revalidate` are for shared caches and go).
// Where neither `max-age` nor an Expires header (`expires`) says how long it is
// fresh, `no-cache` is added: a browser would else guess from Last-Modified
// (RFC 9111 section 4.2.2), and show a lesson for days after the cancellation.
// An answer that says `no-store` keeps its own words.
std::string at_least_private(std::span<const std::string_view> lines,
                             bool expires);

// The same for an answer that has no Cache-Control line.
constexpr std::string_view private_alone(bool expires) {
  return expires ? "private" : "private, no-cache";
}

// Names of headers that some shared caches obey before Cache-Control:
// Surrogate-Control and RFC 9213's CDN-Cache-Control with its vendors' forms.
bool is_targeted_cache_control(std::string_view header_name);

}  // namespace entitle
