// Writing JSON whose shape is known: compact, members in the order in which
// they are written, straight into a string. Strings are taken as UTF-8 and
// passed through; what must not reach JSON (bytes that are no UTF-8) is the
// caller's to leave out.
//
//   json::Writer json(out);
//   json.begin_object().text("event",
//   id).key("names").strings(names).end_object();
//
// The caller keeps the grammar: in an object each value follows a key, and what
// begins ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entitle::json {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}  // appended to
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Writer& begin_object() { return begin('{'); }
  Writer& end_object() { return end('}'); }
  Writer& begin_array() { return begin('['); }
  Writer& end_array() { return end(']'); }
  Writer& key(std::string_view name);

  // RFC 8259 section 7: quote, backslash and bytes below 0x20 are escaped.
  Writer& string(std::string_view text);
  Writer& number(std::int64_t number);
  Writer& boolean(bool value) { return word(value ? "true" : "false"); }
  Writer& null() { return word("null"); }
  // What is JSON already.
  Writer& raw(std::string_view value) { return word(value); }

  // A member of that type.
  Writer& text(std::string_view name, std::string_view value) {
    return key(name).string(value);
  }
  Writer& number(std::string_view name, std::int64_t value) {
    return key(name).number(value);
  }
  Writer& boolean(std::string_view name, bool value) {
    return key(name).boolean(value);
  }

  // An array of strings: what `view` makes of each item.
  template <class Range, class View>
  Writer& strings(const Range& range, View view) {
    begin_array();
    for (const auto& item : range) string(view(item));
    return end_array();
  }
  template <class Range>
  Writer& strings(const Range& range) {
    return strings(range, [](std::string_view text) { return text; });
  }

 private:
  Writer& begin(char bracket);
  Writer& end(char bracket);
  Writer& word(std::string_view text);
  void separate() {
    if (follows_) out_ += ',';
    follows_ = true;
  }
  void quote(std::string_view text);

  std::string& out_;
  bool follows_ = false;  // a value stands here already
};

}  // namespace entitle::json
