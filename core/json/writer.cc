#include "core/json/writer.h"

#include <charconv>

namespace entitle::json {

void Writer::quote(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  out_ += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (byte < 0x20) {
      out_ += "\\u00";
      out_ += digits[byte >> 4];
      out_ += digits[byte & 0x0f];
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

Writer& Writer::begin(char bracket) {
  separate();
  out_ += bracket;
  follows_ = false;
  return *this;
}

Writer& Writer::end(char bracket) {
  out_ += bracket;
  follows_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  quote(name);
  out_ += ':';
  follows_ = false;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  quote(text);
  return *this;
}

Writer& Writer::number(std::int64_t number) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof digits, number);
  return word({digits, static_cast<std::size_t>(end.ptr - digits)});
}

Writer& Writer::word(std::string_view text) {
  separate();
  out_ += text;
  return *this;
}

}  // namespace entitle::json
