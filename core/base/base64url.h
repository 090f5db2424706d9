// base64url without padding (RFC 4648 section 5, RFC 7515 section 2), in its
// one canonical form; and the looser reading for files that people write.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace entitle {

// Characters that `bytes` bytes take.
constexpr std::size_t base64url_length(std::size_t bytes) {
  return (bytes * 4 + 2) / 3;
}

std::string base64url_encode(std::string_view bytes);
void base64url_append(std::string& text, std::string_view bytes);

// The number of bytes written to `out`. Null: a byte outside the alphabet,
// padding, an impossible length, unused bits that are not zero, or more than
// `out` holds.
std::optional<std::size_t> base64url_decode(std::string_view text,
                                            std::span<char> out);
std::optional<std::string> base64url_decode(std::string_view text);

// Either alphabet of RFC 4648, with or without padding.
std::optional<std::string> base64_decode_any(std::string_view text);

}  // namespace entitle
