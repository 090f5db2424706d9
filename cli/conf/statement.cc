#include "cli/conf/statement.h"

#include <utility>

namespace entitle::cli {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// What a backslash and this stand for. 0: the two of them.
char escaped(char c) {
  switch (c) {
    case '"':
    case '\'':
    case '\\':
      return c;
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    default:
      return 0;
  }
}

}  // namespace

char StatementReader::take() {
  const char c = text_[at_++];
  if (c == '\n') ++line_;
  return c;
}

void StatementReader::skip_line() {
  while (!at_end() && take() != '\n') {
  }
}

void StatementReader::skip_blanks() {
  while (!at_end()) {
    if (text_[at_] == '#') {
      skip_line();
    } else if (is_blank(text_[at_])) {
      take();
    } else {
      return;
    }
  }
}

void StatementReader::read_escape(std::string& word) {
  take();  // the backslash
  if (at_end()) {
    word += '\\';
    return;
  }
  const char c = take();
  if (const char meant = escaped(c); meant != 0) {
    word += meant;
  } else {
    word += '\\';
    word += c;
  }
}

bool StatementReader::read_quoted(char quote, std::string& word) {
  take();
  while (!at_end()) {
    const char c = text_[at_];
    if (c == '\\') {
      read_escape(word);
    } else if (take() == quote) {
      return true;
    } else {
      word += c;
    }
  }
  return false;
}

// `{` ends it, but not that of `${name}`.
void StatementReader::read_bare(std::string& word) {
  bool after_dollar = false;
  while (!at_end()) {
    const char c = text_[at_];
    if (c == '\\') {
      after_dollar = false;
      read_escape(word);
      continue;
    }
    if (is_blank(c) || c == ';' || (c == '{' && !after_dollar)) return;
    // nginx: each `{` in a row after `$`.
    after_dollar = c == '$' || (c == '{' && after_dollar);
    word += take();
  }
}

// False: a quote is not closed, or something stands right behind it.
bool StatementReader::read_word(std::string& word) {
  const char quote = text_[at_];
  if (quote != '"' && quote != '\'') {
    read_bare(word);
    return true;
  }
  if (!read_quoted(quote, word)) return false;
  if (at_end()) return false;
  const char next = text_[at_];
  if (next == ')') return true;  // of `if ($a = "b")`: a word of its own
  if (is_blank(next) || next == ';' || next == '{') return true;
  error_ = std::string("unexpected \"") + next + '"';
  return false;
}

Statement StatementReader::broken(Statement statement, std::string why) {
  if (error_.empty()) error_ = std::move(why);
  statement.end = Statement::End::broken;
  return statement;
}

Statement StatementReader::next() {
  Statement statement;
  for (;;) {
    skip_blanks();
    if (statement.words.empty()) statement.line = line_;
    if (at_end()) {
      if (statement.words.empty()) return statement;
      return broken(std::move(statement),
                    "unexpected end of file, expecting \";\" or \"}\"");
    }
    const char c = text_[at_];
    if (c == ';' || c == '{') {
      take();
      if (statement.words.empty()) {
        return broken(std::move(statement),
                      std::string("unexpected \"") + c + '"');
      }
      statement.end =
          c == ';' ? Statement::End::semicolon : Statement::End::opened;
      return statement;
    }
    if (c == '}') {
      take();
      if (!statement.words.empty()) {
        return broken(std::move(statement), "unexpected \"}\"");
      }
      statement.end = Statement::End::closed;
      return statement;
    }
    std::string word;
    if (!read_word(word)) {
      return broken(std::move(statement),
                    "unexpected end of file, expecting \";\" or \"}\"");
    }
    statement.words.push_back(std::move(word));
  }
}

// --- Lua ---------------------------------------------------------------------

void StatementReader::skip_lua_string(char quote) {
  while (!at_end()) {
    const char c = take();
    if (c == quote || c == '\n') return;
    if (c == '\\' && !at_end()) take();
  }
}

// At the first bracket of `[[` or `[==[`: passes over all of it. False: it is
// none.
bool StatementReader::skip_lua_brackets() {
  std::size_t equals = text_.find_first_not_of('=', at_ + 1);
  if (equals == std::string_view::npos || text_[equals] != '[') return false;
  std::string end = "]" + std::string(equals - at_ - 1, '=') + "]";
  std::size_t found = text_.find(end, equals + 1);
  const std::size_t to =
      found == std::string_view::npos ? text_.size() : found + end.size();
  while (at_ < to) take();
  return true;
}

bool StatementReader::skip_lua() {
  int depth = 1;
  while (!at_end()) {
    const char c = text_[at_];
    if (c == '[' && skip_lua_brackets()) continue;
    take();
    if (c == '"' || c == '\'') skip_lua_string(c);
    if (c == '-' && !at_end() && text_[at_] == '-') {
      take();
      const bool block = !at_end() && text_[at_] == '[' && skip_lua_brackets();
      if (!block) skip_line();
    }
    if (c == '{') ++depth;
    if (c == '}' && --depth == 0) return true;
  }
  return false;
}

}  // namespace entitle::cli
