#include "core/base/base64url.h"

#include <array>
#include <cstdint>

namespace entitle {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kInvalid = 0xff;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kInvalid);
  for (std::size_t i = 0; i < kAlphabet.size(); i++) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] =
        static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr std::array<std::uint8_t, 256> kValues = make_values();

// The same, where a character is the first, second, third or fourth of four.
// An invalid one has a bit above all of those.
constexpr std::uint32_t kInvalidOfFour = 1u << 24;
using Shifted = std::array<std::uint32_t, 256>;
constexpr Shifted shifted(int by) {
  Shifted values{};
  for (std::size_t i = 0; i < values.size(); i++) {
    values[i] = kValues[i] == kInvalid
                    ? kInvalidOfFour
                    : static_cast<std::uint32_t>(kValues[i]) << by;
  }
  return values;
}
constexpr std::array<Shifted, 4> kOfFour = {shifted(18), shifted(12),
                                            shifted(6), shifted(0)};

std::uint32_t of_four(std::size_t nth, char c) {
  return kOfFour[nth][static_cast<std::uint8_t>(c)];
}

std::uint32_t value_of(char c) { return kValues[static_cast<std::uint8_t>(c)]; }
std::uint32_t byte_of(char c) { return static_cast<std::uint8_t>(c); }
char low_byte(std::uint32_t bits) { return static_cast<char>(bits & 0xff); }

}  // namespace

void base64url_append(std::string& text, std::string_view bytes) {
  std::size_t at = text.size();
  text.resize(at + base64url_length(bytes.size()));
  char* to = text.data() + at;
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    std::uint32_t bits = byte_of(bytes[i]) << 16 | byte_of(bytes[i + 1]) << 8 |
                         byte_of(bytes[i + 2]);
    *to++ = kAlphabet[bits >> 18];
    *to++ = kAlphabet[bits >> 12 & 63];
    *to++ = kAlphabet[bits >> 6 & 63];
    *to++ = kAlphabet[bits & 63];
  }
  std::size_t rest = bytes.size() - i;
  if (rest == 0) return;
  std::uint32_t bits = byte_of(bytes[i]) << 16;
  if (rest == 2) bits |= byte_of(bytes[i + 1]) << 8;
  *to++ = kAlphabet[bits >> 18];
  *to++ = kAlphabet[bits >> 12 & 63];
  if (rest == 2) *to++ = kAlphabet[bits >> 6 & 63];
}

std::string base64url_encode(std::string_view bytes) {
  std::string text;
  base64url_append(text, bytes);
  return text;
}

std::optional<std::size_t> base64url_decode(std::string_view text,
                                            std::span<char> out) {
  std::size_t rest = text.size() % 4;
  std::size_t length = text.size() * 3 / 4;
  if (rest == 1 || length > out.size()) return std::nullopt;

  // What an invalid character leaves is kept, not branched on, until the end.
  std::uint32_t seen = 0;
  char* to = out.data();
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    std::uint32_t bits = of_four(0, text[i]) | of_four(1, text[i + 1]) |
                         of_four(2, text[i + 2]) | of_four(3, text[i + 3]);
    seen |= bits;
    *to++ = low_byte(bits >> 16);
    *to++ = low_byte(bits >> 8);
    *to++ = low_byte(bits);
  }
  if (rest != 0) {
    std::uint32_t a = value_of(text[i]), b = value_of(text[i + 1]);
    std::uint32_t c = rest == 3 ? value_of(text[i + 2]) : 0;
    if ((a | b | c) > 63) return std::nullopt;
    std::uint32_t bits = a << 18 | b << 12 | c << 6;
    *to++ = low_byte(bits >> 16);
    if (rest == 3) *to++ = low_byte(bits >> 8);
    std::uint32_t unused = rest == 3 ? bits & 0xff : bits & 0xffff;
    if (unused != 0) return std::nullopt;
  }
  if (seen >= kInvalidOfFour) return std::nullopt;
  return length;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  std::string bytes(text.size() * 3 / 4, '\0');
  if (!base64url_decode(text, std::span<char>(bytes))) return std::nullopt;
  return bytes;
}

std::optional<std::string> base64_decode_any(std::string_view text) {
  if (text.size() % 4 == 0) {
    for (int padding = 0; padding < 2 && text.ends_with('='); padding++) {
      text.remove_suffix(1);
    }
  }
  std::string translated(text);
  for (char& c : translated) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return base64url_decode(translated);
}

}  // namespace entitle
