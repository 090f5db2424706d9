// Lines as spreadsheets write them, and what is wrong in them.
#include "cli/base/csv.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "cli/command/link_lines.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::cli;

std::vector<CsvRow> rows_of(std::string_view text) {
  CsvReader in(text);
  std::vector<CsvRow> rows;
  while (auto row = in.next()) rows.push_back(*row);
  assert_true(in.errors().empty());
  return rows;
}

void cells_stand_in_quotes_or_not(void**) {
  const auto rows = rows_of(
      "\xef\xbb\xbf"
      "a,b\r\n\n\"x, \"\"y\"\"\n2\",\r\nlast,");
  assert_int_equal(rows.size(), 3);
  assert_true(rows[0].cells == std::vector<std::string>({"a", "b"}));
  assert_int_equal(rows[0].line, 1);
  assert_true(rows[1].cells == std::vector<std::string>({"x, \"y\"\n2", ""}));
  assert_int_equal(rows[1].line, 3);
  assert_true(rows[2].cells == std::vector<std::string>({"last", ""}));
  assert_int_equal(rows[2].line, 5);
}

void quotes_that_do_not_fit_are_errors(void**) {
  for (const char* text : {"a,\"b", "\"a\"b,c"}) {
    CsvReader in(text);
    while (in.next()) {
    }
    assert_int_equal(in.errors().size(), 1);
  }
}

std::vector<LinkLineError> errors_of(std::string_view text) {
  std::vector<LinkLineError> errors;
  link_lines_in(text, errors);
  return errors;
}

void what_is_said_twice_counts_once(void**) {
  std::vector<LinkLineError> errors;
  const auto lines = link_lines_in(
      "What,USER\ncus_1,ann,why\ncus_1,ann\nacct_1/sub_2,bob\n", errors);
  assert_true(errors.empty());
  assert_int_equal(lines.size(), 2);
  assert_string_equal(lines[0].reason.c_str(), "why");
  assert_int_equal(lines[1].line, 4);
  assert_string_equal(lines[1].what.c_str(), "acct_1/sub_2");
}

void every_error_has_its_line(void**) {
  const auto errors =
      errors_of("cus_1,ann\ncus_1,bob\nprod_1,ann\ncus_2,\ncus_3\n");
  assert_int_equal(errors.size(), 4);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    assert_int_equal(errors[i].line, i + 2);
  }
  assert_int_equal(errors_of("").size(), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(cells_stand_in_quotes_or_not),
      cmocka_unit_test(quotes_that_do_not_fit_are_errors),
      cmocka_unit_test(what_is_said_twice_counts_once),
      cmocka_unit_test(every_error_has_its_line),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
