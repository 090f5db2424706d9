#include "core/base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace entitle {
namespace {

// Continuation bytes after `lead`, and what the first of them may be (the
// table of RFC 3629 section 4). Zero: `lead` begins no character.
struct Sequence {
  std::size_t continuations = 0;
  std::uint8_t lowest = 0x80;
  std::uint8_t highest = 0xbf;
};

Sequence sequence_of(std::uint8_t lead) {
  if (lead >= 0xc2 && lead <= 0xdf) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return {};
}

}  // namespace

bool is_utf8(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t i = 0; i < text.size(); i++) {
    if (byte(i) < 0x80) continue;
    Sequence sequence = sequence_of(byte(i));
    if (sequence.continuations == 0 ||
        text.size() - i <= sequence.continuations) {
      return false;
    }
    for (std::size_t k = 0; k < sequence.continuations; k++) {
      std::uint8_t next = byte(++i);
      if (next < (k == 0 ? sequence.lowest : 0x80) ||
          next > (k == 0 ? sequence.highest : 0xbf)) {
        return false;
      }
    }
  }
  return true;
}

void append_utf8(std::string& text, char32_t code) {
  auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  auto more = [&](int shift) { put(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
    return more(0);
  }
  if (code < 0x10000) {
    put(0xe0 | code >> 12);
    more(6);
    return more(0);
  }
  put(0xf0 | code >> 18);
  more(12);
  more(6);
  more(0);
}

}  // namespace entitle
