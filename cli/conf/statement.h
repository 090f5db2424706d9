// nginx's configuration language, one statement at a time: words, and what
// ends them. Quotes, escapes, comments and `${name}` are read as nginx reads
// them, and variables are left alone.
// Source: nginx src/core/ngx_conf_file.c (ngx_conf_read_token).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace entitle::cli {

struct Statement {
  enum class End {
    semicolon,  // name words... ;
    opened,     // name words... {
    closed,     // }
    file,       // no more; no words
    broken,     // error() says what
  };
  End end = End::file;
  std::vector<std::string> words;
  int line = 0;  // where its first word stands
};

class StatementReader {
 public:
  // `text` outlives it.
  explicit StatementReader(std::string_view text) : text_(text) {}

  Statement next();
  // After `opened`: passes over a block that is Lua's, to the brace that
  // closes it. False: nothing does.
  bool skip_lua();

  const std::string& error() const { return error_; }
  int line() const { return line_; }

 private:
  void skip_blanks();
  bool read_word(std::string& word);
  bool read_quoted(char quote, std::string& word);
  void read_bare(std::string& word);
  void read_escape(std::string& word);
  void skip_lua_string(char quote);
  bool skip_lua_brackets();
  void skip_line();
  Statement broken(Statement statement, std::string why);
  bool at_end() const { return at_ >= text_.size(); }
  char take();

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::string error_;
};

}  // namespace entitle::cli
