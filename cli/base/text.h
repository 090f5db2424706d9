// Text for people: what came from elsewhere made harmless, times, and columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"

namespace entitle::cli {

// UTF-8 as it is; control bytes and whatever is no UTF-8 as \xNN, so that
// nobody's name can move a cursor.
std::string printable(std::string_view text);

// "2026-11-28 09:37:00 UTC"; kForever: "for ever".
std::string text_of_time(UnixTime time);

// "12 seconds", "14 minutes", "5 hours", "3 days": the greatest unit of which
// there are at least two.
std::string text_of_span(Seconds span);

// "a, b and c"
std::string listed(const std::vector<std::string>& words);

// A word of a shell's command line.
std::string shell_word(std::string_view text);

// Rows whose columns are as wide as their widest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;  // lines, each with its end

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace entitle::cli
