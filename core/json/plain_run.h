// The part of a JSON string that stands there as it is, eight bytes at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace entitle::json {

enum class Plain { ascii, any };

namespace plain_run {

constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;

// The high bit of each byte that is 0. Bits above the lowest set one may be
// wrong.
constexpr std::uint64_t zeros(std::uint64_t word) {
  return (word - kOnes) & ~word & kHigh;
}

// Likewise, of each byte that is not plain.
template <Plain kPlain>
constexpr std::uint64_t special(std::uint64_t word) {
  std::uint64_t found = zeros(word ^ ('"' * kOnes)) |
                        zeros(word ^ ('\\' * kOnes)) |
                        ((word - 0x20 * kOnes) & ~word & kHigh);
  return kPlain == Plain::ascii ? found | (word & kHigh) : found;
}

}  // namespace plain_run

// The first byte from `at` on that is a quote, a backslash or below 0x20, or,
// of Plain::ascii, beyond 0x7f; `end` where there is none.
template <Plain kPlain>
const char* skip_plain(const char* at, const char* end) {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at >= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      if (std::uint64_t found = plain_run::special<kPlain>(word)) {
        return at + std::countr_zero(found) / 8;
      }
      at += 8;
    }
  }
  for (; at != end; ++at) {
    auto byte = static_cast<unsigned char>(*at);
    if (byte == '"' || byte == '\\' || byte < 0x20) return at;
    if (kPlain == Plain::ascii && byte >= 0x80) return at;
  }
  return end;
}

}  // namespace entitle::json
