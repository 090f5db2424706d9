#include "cli/base/csv.h"

#include <utility>

namespace entitle::cli {

CsvReader::CsvReader(std::string_view text) : rest_(text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (rest_.starts_with(kMark)) rest_.remove_prefix(kMark.size());
}

// Up to the quote that closes it.
void CsvReader::read_quoted(std::string& cell) {
  const std::size_t began = line_;
  rest_.remove_prefix(1);
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') {
      if (!rest_.starts_with('"')) return;
      rest_.remove_prefix(1);
    }
    if (c == '\n') ++line_;
    cell += c;
  }
  errors_.push_back({began, "a quote is not closed"});
}

bool CsvReader::read_cell(std::string& cell) {
  bool quoted = false;
  if (rest_.starts_with('"')) {
    quoted = true;
    read_quoted(cell);
  }
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == ',') return true;
    if (c == '\n') {
      ++line_;
      return false;
    }
    if (c == '\r' && (rest_.empty() || rest_.front() == '\n')) continue;
    if (quoted) {
      errors_.push_back({line_, "something stands behind a closed quote"});
      quoted = false;
    }
    cell += c;
  }
  return false;
}

std::optional<CsvRow> CsvReader::next() {
  while (!rest_.empty()) {
    CsvRow row;
    row.line = line_;
    bool more = true;
    while (more) {
      std::string cell;
      more = read_cell(cell);
      row.cells.push_back(std::move(cell));
    }
    if (row.cells.size() > 1 || !row.cells.front().empty()) return row;
  }
  return std::nullopt;
}

}  // namespace entitle::cli
