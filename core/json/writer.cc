#include "core/json/writer.h"

#include <charconv>

#include "core/json/plain_run.h"

namespace entitle::json {

void Writer::quote(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  const char* at = text.data();
  const char* const end = at + text.size();
  out_ += '"';
  while (true) {
    const char* special = skip_plain<Plain::any>(at, end);
    out_.append(at, special);
    if (special == end) break;
    auto byte = static_cast<unsigned char>(*special);
    if (byte >= 0x20) {
      out_ += '\\';
      out_ += *special;
    } else {
      out_ += "\\u00";
      out_ += digits[byte >> 4];
      out_ += digits[byte & 0x0f];
    }
    at = special + 1;
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
