#include "cli/command/link_lines.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <utility>

#include "cli/base/csv.h"
#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/command/agree.h"
#include "cli/kept/find.h"
#include "core/base/ascii.h"
#include "core/base/types.h"

namespace entitle::cli {
namespace {

bool is_heading(const CsvRow& row) {
  return row.cells.size() >= 2 && lower_case(row.cells[0]) == "what" &&
         lower_case(row.cells[1]) == "user";
}

}  // namespace

bool check(const LinkLine& line, std::vector<LinkLineError>& errors) {
  const std::size_t before = errors.size();
  if (!is_thing(line.what)) {
    errors.push_back(
        {line.line, fmt::format("\"{}\" is nothing of Stripe's: link takes "
                                "cus_, sub_, cs_, pi_ or in_",
                                printable(line.what))});
  }
  if (const auto wrong = wrong_with_user(line.user)) {
    errors.push_back({line.line, *wrong});
  }
  if (const auto wrong = wrong_with_words("a reason", line.reason)) {
    errors.push_back({line.line, *wrong});
  }
  return errors.size() == before;
}

std::vector<LinkLine> link_lines_in(std::string_view csv,
                                    std::vector<LinkLineError>& errors) {
  std::vector<LinkLine> lines;
  std::map<std::string, LinkLine> known;  // by what
  CsvReader in(csv);
  bool first = true;
  while (std::optional<CsvRow> row = in.next()) {
    const bool heading = std::exchange(first, false) && is_heading(*row);
    if (heading) continue;
    if (row->cells.size() < 2 || row->cells.size() > 3) {
      errors.push_back(
          {row->line, fmt::format("WHAT,USER or WHAT,USER,REASON is wanted, "
                                  "and there are {} cells",
                                  row->cells.size())});
      continue;
    }
    LinkLine line{row->line, row->cells[0], row->cells[1], {}};
    if (row->cells.size() == 3) line.reason = row->cells[2];
    if (!check(line, errors)) continue;
    const auto [other, is_new] = known.try_emplace(line.what, line);
    if (is_new) {
      lines.push_back(std::move(line));
    } else if (other->second.user != line.user) {
      errors.push_back(
          {line.line, fmt::format("{} is another user's in line {}",
                                  printable(line.what), other->second.line)});
    }
  }
  for (const CsvError& error : in.errors()) {
    errors.push_back({error.line, error.what});
  }
  if (lines.empty() && errors.empty()) {
    errors.push_back({1, "there is no line in it"});
  }
  return lines;
}

std::string text_of_file(const std::string& name) {
  std::ifstream file;
  if (name != "-") {
    file.open(name, std::ios::binary);
    if (!file) {
      throw Stop(Exit::usage,
                 fmt::format("{}: {}", name, std::strerror(errno)));
    }
  }
  std::istream& in = name == "-" ? std::cin : file;
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace entitle::cli
