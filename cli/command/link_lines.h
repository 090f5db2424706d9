// The lines of a file for `entitlectl link --csv`: WHAT,USER or
// WHAT,USER,REASON; a first line "what,user..." is a heading.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace entitle::cli {

struct LinkLine {
  std::size_t line = 0;  // 0: it stands in no file
  std::string what;
  std::string user;
  std::string reason;  // empty: that of the command
};

struct LinkLineError {
  std::size_t line = 0;
  std::string what;
};

// Whether it could be, whatever Redis holds. Adds to `errors` what is wrong.
bool check(const LinkLine& line, std::vector<LinkLineError>& errors);

// Those that could be. What is said twice counts once; of what is said to be
// two users' the second is an error.
std::vector<LinkLine> link_lines_in(std::string_view csv,
                                    std::vector<LinkLineError>& errors);

// Throws Stop. "-" is standard input.
std::string text_of_file(const std::string& name);

}  // namespace entitle::cli
