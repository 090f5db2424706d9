// Comma-separated values as spreadsheets write them (RFC 4180): cells may stand
// in quotes, and have commas, line ends and doubled quotes in them then.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle::cli {

struct CsvRow {
  std::size_t line = 0;  // where it begins; from 1
  std::vector<std::string> cells;
};

struct CsvError {
  std::size_t line = 0;
  std::string what;
};

// Row by row. Empty lines are none; a byte order mark is left out.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text);
  // Null: there are no more.
  std::optional<CsvRow> next();
  const std::vector<CsvError>& errors() const { return errors_; }

 private:
  bool read_cell(std::string& cell);  // false: it was the row's last
  void read_quoted(std::string& cell);

  std::string_view rest_;
  std::size_t line_ = 1;
  std::vector<CsvError> errors_;
};

}  // namespace entitle::cli
