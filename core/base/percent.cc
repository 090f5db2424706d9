#include "core/base/percent.h"

#include "core/base/hex.h"

namespace entitle {

void append_percent(std::string& text, char byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  auto value = static_cast<unsigned char>(byte);
  text += '%';
  text += digits[value >> 4];
  text += digits[value & 0x0f];
}

std::string percent_encode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    bool plain = c >= 0x20 && c <= 0x7e && c != '{' && c != '}' && c != '%';
    if (plain) {
      text += c;
    } else {
      append_percent(text, c);
    }
  }
  return text;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    int high = hex_value(text[i + 1]);
    int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return bytes;
}

}  // namespace entitle
