// Reads the JSON that stands in records and places, in one pass and without a
// tree: it is read on every event and every gate miss. Any JSON is understood,
// whoever wrote it (RFC 8259; a string is text, so half a surrogate pair is
// none); what is of another type than asked for fails for good.
//
//   JsonReader in(text);
//   in.object([&](std::string_view key) {
//     if (key == "event") in.string(event); else in.value(unknown);
//   });
//   if (!in.finish()) corrupt;
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entitle {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : rest_(text) {}

  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  // True when all was well and nothing but white space is left.
  bool finish();

  // `on_member(key)` must read the value. The key lives until the next call.
  template <class OnMember>
  void object(OnMember on_member) {
    if (!open('{')) return;
    if (close('}')) return;
    do {
      std::string key;
      string(key);
      expect(':');
      if (!ok_) return;
      on_member(std::string_view(key));
    } while (ok_ && comma());
    expect('}');
    --depth_;
  }

  // `on_element()` must read the value.
  template <class OnElement>
  void array(OnElement on_element) {
    if (!open('[')) return;
    if (close(']')) return;
    do {
      on_element();
    } while (ok_ && comma());
    expect(']');
    --depth_;
  }

  void string(std::string& into);
  void integer(std::int64_t& into);
  void boolean(bool& into);
  bool null();  // true when a null was there; else nothing is read

  // Any value, appended to `into` in one form for one value: compact, strings
  // as json::Writer writes them, members of objects by name (of one name the
  // last), numbers as they stand.
  void value(std::string& into);

 private:
  static constexpr int kMaxDepth = 64;

  bool open(char bracket);
  bool close(char bracket);
  bool comma();
  void expect(char c);
  bool skip(char c);
  bool skip_word(std::string_view word);
  void escape(std::string& into);
  unsigned code_unit();
  void number(std::string& into);
  void members(std::string& into);
  void elements(std::string& into);
  void skip_space();

  std::string_view rest_;
  int depth_ = 0;
  bool ok_ = true;
};

}  // namespace entitle
