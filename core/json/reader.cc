#include "core/json/reader.h"

#include <charconv>
#include <map>

#include "core/base/utf8.h"
#include "core/json/plain_run.h"
#include "core/json/writer.h"

namespace entitle {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

void JsonReader::skip_space() {
  while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
}

bool JsonReader::skip(char c) {
  skip_space();
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

bool JsonReader::skip_word(std::string_view word) {
  skip_space();
  if (!rest_.starts_with(word)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

void JsonReader::expect(char c) {
  if (ok_ && !skip(c)) ok_ = false;
}

bool JsonReader::open(char bracket) {
  expect(bracket);
  if (ok_ && ++depth_ > kMaxDepth) ok_ = false;
  return ok_;
}

bool JsonReader::close(char bracket) {
  if (!skip(bracket)) return false;
  --depth_;
  return true;
}

bool JsonReader::comma() { return skip(','); }

bool JsonReader::finish() {
  skip_space();
  return ok_ && rest_.empty();
}

void JsonReader::string(std::string& into) {
  into.clear();
  expect('"');
  while (ok_) {
    const char* begin = rest_.data();
    const char* end =
        json::skip_plain<json::Plain::any>(begin, begin + rest_.size());
    into.append(begin, end);
    rest_.remove_prefix(static_cast<std::size_t>(end - begin));
    if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\\')) {
      ok_ = false;
      return;
    }
    char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') return;
    escape(into);
  }
}

void JsonReader::escape(std::string& into) {
  if (rest_.empty()) return fail();
  char c = rest_.front();
  rest_.remove_prefix(1);
  constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
  if (std::size_t at = from.find(c); at != std::string_view::npos) {
    into.push_back(to[at]);
    return;
  }
  if (c != 'u') return fail();
  char32_t code = code_unit();
  if (code >= 0xd800 && code < 0xdc00 && rest_.starts_with("\\u")) {
    rest_.remove_prefix(2);
    char32_t low = code_unit();
    if (low < 0xdc00 || low > 0xdfff) return fail();
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code >= 0xd800 && code <= 0xdfff) return fail();
  append_utf8(into, code);
}

// The four hexadecimal digits after \u.
unsigned JsonReader::code_unit() {
  unsigned code = 0;
  if (rest_.size() < 4) {
    fail();
    return 0;
  }
  auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
  if (error != std::errc() || end != rest_.data() + 4) fail();
  rest_.remove_prefix(4);
  return code;
}

void JsonReader::value(std::string& into) {
  skip_space();
  if (!ok_ || rest_.empty()) return fail();
  switch (rest_.front()) {
    case '{':
      return members(into);
    case '[':
      return elements(into);
    case '"': {
      std::string text;
      string(text);
      json::Writer(into).string(text);
      return;
    }
    default:
      break;
  }
  for (std::string_view word : {"true", "false", "null"}) {
    if (!skip_word(word)) continue;
    into += word;
    return;
  }
  number(into);
}

void JsonReader::members(std::string& into) {
  std::map<std::string, std::string> by_name;
  object([&](std::string_view key) {
    std::string one;
    value(one);
    by_name.insert_or_assign(std::string(key), std::move(one));
  });
  json::Writer out(into);
  out.begin_object();
  for (const auto& [name, one] : by_name) out.key(name).raw(one);
  out.end_object();
}

void JsonReader::elements(std::string& into) {
  json::Writer out(into);
  out.begin_array();
  array([&] {
    std::string one;
    value(one);
    out.raw(one);
  });
  out.end_array();
}

void JsonReader::number(std::string& into) {
  std::size_t at = 0;
  auto digits = [&] {
    std::size_t begin = at;
    while (at < rest_.size() && is_digit(rest_[at])) ++at;
    return at > begin;
  };
  auto sees = [&](std::string_view any) {
    bool there = at < rest_.size() && any.find(rest_[at]) != any.npos;
    if (there) ++at;
    return there;
  };
  sees("-");
  bool zero = sees("0");
  bool good = zero || digits();
  if (sees(".")) good = digits() && good;
  if (sees("eE")) {
    sees("+-");
    good = digits() && good;
  }
  if (!good) return fail();
  into += rest_.substr(0, at);
  rest_.remove_prefix(at);
}

void JsonReader::integer(std::int64_t& into) {
  skip_space();
  const char* begin = rest_.data();
  auto [end, error] = std::from_chars(begin, begin + rest_.size(), into);
  if (error != std::errc()) return fail();
  rest_.remove_prefix(static_cast<std::size_t>(end - begin));
}

void JsonReader::boolean(bool& into) {
  if (skip_word("true")) {
    into = true;
  } else if (skip_word("false")) {
    into = false;
  } else {
    fail();
  }
}

bool JsonReader::null() { return ok_ && skip_word("null"); }

}  // namespace entitle
