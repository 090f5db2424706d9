// json::parse(): one pass over the text, recursing no deeper than the bound.
#include <algorithm>
#include <bitset>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "core/base/ascii.h"
#include "core/base/utf8.h"
#include "core/json/plain_run.h"
#include "core/json/tree.h"

namespace entitle::json {
namespace {

// Members seen in one object. A filter first: most keys are new.
class Seen {
 public:
  // False: certainly new. True: compare.
  bool maybe(std::string_view key) {
    std::size_t bit = hash(key);
    if (bits_[bit]) return true;
    bits_[bit] = true;
    return false;
  }

 private:
  static std::size_t hash(std::string_view key) {
    std::uint32_t h = static_cast<std::uint32_t>(key.size());
    for (char c : key) h = h * 31 + static_cast<unsigned char>(c);
    return (h ^ h >> 9) % 256;
  }
  std::bitset<256> bits_;
};

// Beyond this many members an object's keys are sorted to find one that is
// there twice, so that no text costs quadratic time.
constexpr std::size_t kComparedMembers = 64;

}  // namespace

class Parser {
 public:
  Parser(std::string_view text, std::size_t max_depth) : room_(max_depth) {
    out_.text_.reset(new char[text.size()]);
    begin_ = at_ = out_.text_.get();
    end_ = std::copy(text.begin(), text.end(), begin_);
  }

  std::optional<Document> run(Error& error) {
    // Stripe indents: about 25 bytes a value.
    out_.nodes_.reserve(static_cast<std::size_t>(end_ - begin_) / 20 + 8);
    skip_space();
    bool ok = false;
    if (at_ == end_ || (*at_ != '{' && *at_ != '[')) {
      fail("neither object nor array");
    } else if (value()) {
      skip_space();
      ok = at_ == end_ || fail("something follows the end");
    }
    error = {reason_, static_cast<std::size_t>(at_ - begin_)};
    if (!ok) return std::nullopt;
    return std::move(out_);
  }

 private:
  using Index = std::size_t;

  bool fail(const char* reason) {
    reason_ = reason;
    return false;
  }

  Node& node(Index index) { return out_.nodes_[index]; }

  void skip_space() {
    while (at_ != end_ &&
           (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) {
      ++at_;
    }
  }

  bool skip(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool literal(std::string_view word, Type type, std::int64_t integer) {
    std::string_view rest{at_, static_cast<std::size_t>(end_ - at_)};
    if (!rest.starts_with(word)) return fail("unknown word");
    at_ += word.size();
    out_.nodes_.back().type_ = type;
    out_.nodes_.back().integer_ = integer;
    return true;
  }

  // Appends the value that begins here.
  bool value() {
    skip_space();
    if (at_ == end_) return fail("cut short");
    Index self = out_.nodes_.size();
    out_.nodes_.emplace_back();
    switch (*at_) {
      case '{':
        return nested(self, Type::object, '}');
      case '[':
        return nested(self, Type::array, ']');
      case '"': {
        std::string_view text;
        if (!string(text)) return false;
        // What no text can be is no string to anybody, and refuses nothing.
        node(self).type_ = is_text_ ? Type::string : Type::null;
        node(self).text_ = text.data();
        node(self).text_size_ = static_cast<std::uint32_t>(text.size());
        return true;
      }
      case 't':
        return literal("true", Type::boolean, 1);
      case 'f':
        return literal("false", Type::boolean, 0);
      case 'n':
        return literal("null", Type::null, 0);
      default:
        return number(node(self));
    }
  }

  bool nested(Index self, Type type, char close) {
    if (room_ == 0) return fail("nested too deep");
    --room_;
    ++at_;
    node(self).type_ = type;
    Seen seen;
    std::uint32_t children = 0;
    if (!skip(close)) {
      do {
        Index child = out_.nodes_.size();
        bool ok = type == Type::object ? member(self, seen, children) : value();
        if (!ok) return false;
        node(child).span_ =
            static_cast<std::uint32_t>(out_.nodes_.size() - child);
        ++children;
      } while (skip(','));
      if (!skip(close)) return fail("comma or closing bracket expected");
    }
    node(self).children_ = children;
    node(self).span_ = static_cast<std::uint32_t>(out_.nodes_.size() - self);
    ++room_;
    return type == Type::array || children <= kComparedMembers ||
           all_different(self);
  }

  bool member(Index object, Seen& seen, std::uint32_t before) {
    skip_space();
    if (at_ == end_ || *at_ != '"') return fail("member name expected");
    std::string_view key;
    if (!string(key)) return false;
    if (before < kComparedMembers && seen.maybe(key) &&
        has_member(object, before, key)) {
      return fail("member twice");
    }
    if (!skip(':')) return fail("colon expected");
    Index child = out_.nodes_.size();
    if (!value()) return false;
    node(child).key_ = key.data();
    node(child).key_size_ = static_cast<std::uint32_t>(key.size());
    return true;
  }

  bool has_member(Index object, std::uint32_t count, std::string_view key) {
    const Node* child = &node(object) + 1;
    for (; count > 0; --count, child += child->span_) {
      if (child->key() == key) return true;
    }
    return false;
  }

  bool all_different(Index object) {
    std::vector<std::string_view> keys;
    for (const Node* child : Children(&node(object))) {
      keys.push_back(child->key());
    }
    std::sort(keys.begin(), keys.end());
    return std::adjacent_find(keys.begin(), keys.end()) == keys.end() ||
           fail("member twice");
  }

  // To the next special byte.
  void skip_plain() {
    at_ = begin_ + (json::skip_plain<Plain::ascii>(at_, end_) - begin_);
  }

  bool string(std::string_view& into) {
    char* begin = ++at_;
    bool ascii = true;
    is_text_ = true;
    while (true) {
      skip_plain();
      if (at_ == end_) return fail("string cut short");
      if (*at_ == '"') break;
      if (*at_ == '\\') return escaped_string(begin, into);
      if (static_cast<unsigned char>(*at_) < 0x20) {
        return fail("control byte in a string");
      }
      ascii = false;
      ++at_;
    }
    into = {begin, static_cast<std::size_t>(at_ - begin)};
    if (!ascii && !is_utf8(into)) return fail("not UTF-8");
    ++at_;
    return true;
  }

  // `at_` is on the first backslash of the string that begins at `begin`.
  // Nothing grows by being unescaped, so it is written over itself.
  bool escaped_string(char* begin, std::string_view& into) {
    unescaped_ = at_;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ == '\\') {
        ++at_;
        if (!escape()) return false;
        continue;
      }
      if (static_cast<unsigned char>(*at_) < 0x20) {
        return fail("control byte in a string");
      }
      char* from = at_++;
      skip_plain();
      unescaped_ = std::copy(from, at_, unescaped_);
    }
    if (at_ == end_) return fail("string cut short");
    into = {begin, static_cast<std::size_t>(unescaped_ - begin)};
    if (!is_utf8(into)) return fail("not UTF-8");
    ++at_;
    return true;
  }

  bool escape() {
    if (at_ == end_) return fail("string cut short");
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    char c = *at_++;
    if (std::size_t which = from.find(c); which != std::string_view::npos) {
      *unescaped_++ = to[which];
      return true;
    }
    std::uint32_t code = 0;
    if (c != 'u' || !hex4(code)) return fail("unknown escape");
    if (code >= 0xd800 && code < 0xdc00 && other_half(code)) {
      put_utf8(code);
    } else if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
      put_no_text(code);
    } else {
      put_utf8(code);
    }
    return true;
  }

  // The second of a surrogate pair, if it follows.
  bool other_half(std::uint32_t& code) {
    char* before = at_;
    std::uint32_t low = 0;
    if (end_ - at_ >= 2 && at_[0] == '\\' && at_[1] == 'u') {
      at_ += 2;
      if (hex4(low) && low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        return true;
      }
    }
    at_ = before;
    return false;
  }

  // U+0000 and half a surrogate pair: valid in JSON, and in no text. A byte
  // that no name has, and which it was, so that names stay different.
  void put_no_text(std::uint32_t code) {
    is_text_ = false;
    *unescaped_++ = '\0';
    for (int shift = 12; shift >= 0; shift -= 4) {
      *unescaped_++ = "0123456789abcdef"[code >> shift & 15];
    }
  }

  bool hex4(std::uint32_t& code) {
    if (end_ - at_ < 4) return false;
    for (int n = 0; n < 4; ++n) {
      char c = *at_++;
      char lower = static_cast<char>(c | 0x20);
      std::uint32_t digit = is_digit(c) ? static_cast<std::uint32_t>(c - '0')
                            : lower >= 'a' && lower <= 'f'
                                ? static_cast<std::uint32_t>(lower - 'a' + 10)
                                : 16;
      if (digit == 16) return false;
      code = code << 4 | digit;
    }
    return true;
  }

  void put_utf8(std::uint32_t code) {
    auto put = [&](std::uint32_t byte) {
      *unescaped_++ = static_cast<char>(byte);
    };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
      put(0xc0 | code >> 6);
    } else {
      if (code < 0x10000) {
        put(0xe0 | code >> 12);
      } else {
        put(0xf0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3f));
      }
      put(0x80 | (code >> 6 & 0x3f));
    }
    put(0x80 | (code & 0x3f));
  }

  bool digits() {
    const char* from = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != from;
  }

  bool number(Node& into) {
    const char* from = at_;
    if (*at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0') {
      ++at_;
      if (at_ != end_ && is_digit(*at_)) return fail("number begins with 0");
    } else if (!digits()) {
      return fail("unexpected byte");
    }
    bool real = false;
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      real = true;
      if (!digits()) return fail("digit expected");
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      real = true;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digits()) return fail("digit expected");
    }
    into.type_ = real ? Type::real : Type::integer;
    into.text_ = from;
    into.text_size_ = static_cast<std::uint32_t>(at_ - from);
    return real ? fits(into.text()) : take_integer(into);
  }

  bool take_integer(Node& into) {
    std::string_view text = into.text();
    auto result =
        std::from_chars(text.data(), text.data() + text.size(), into.integer_);
    return result.ec == std::errc() || fail("number too big");
  }

  bool fits(std::string_view real) {
    errno = 0;
    double value = std::strtod(std::string(real).c_str(), nullptr);
    return !(errno == ERANGE && std::isinf(value)) || fail("number too big");
  }

  char* begin_;
  char* at_;
  char* end_;
  std::size_t room_;  // levels left
  const char* reason_ = "";
  bool is_text_ = true;        // the string just read
  char* unescaped_ = nullptr;  // where the next unescaped byte goes
  Document out_;
};

std::optional<Document> parse(std::string_view text, std::size_t max_depth,
                              Error& error) {
  if (text.size() > UINT32_MAX) {
    error = {"too long", 0};
    return std::nullopt;
  }
  return Parser(text, max_depth).run(error);
}

}  // namespace entitle::json
