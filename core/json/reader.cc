#include "core/json/reader.h"

#include <charconv>

namespace entitle {
namespace {

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
    std::size_t end = 0;
    while (end < rest_.size() && rest_[end] != '"' && rest_[end] != '\\' &&
           static_cast<unsigned char>(rest_[end]) >= 0x20) {
      ++end;
    }
    into.append(rest_.substr(0, end));
    rest_.remove_prefix(end);
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

// We write \", \\ and \u00XX; the others are read for those who edit by hand.
void JsonReader::escape(std::string& into) {
  if (rest_.empty()) return fail();
  char c = rest_.front();
  rest_.remove_prefix(1);
  constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
  if (std::size_t at = from.find(c); at != std::string_view::npos) {
    into.push_back(to[at]);
    return;
  }
  unsigned code = 0;
  if (c != 'u' || rest_.size() < 4) return fail();
  auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
  if (error != std::errc() || end != rest_.data() + 4 || code == 0 ||
      code >= 0x80) {
    return fail();
  }
  into.push_back(static_cast<char>(code));
  rest_.remove_prefix(4);
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
