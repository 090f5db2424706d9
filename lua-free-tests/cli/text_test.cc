// What is printed is harmless, and says what it means.
#include "cli/base/text.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::cli;

void nobodys_name_moves_a_cursor(void**) {
  assert_string_equal(printable("Zo\xc3\xab").c_str(), "Zo\xc3\xab");
  assert_string_equal(printable("a\x1b[2Jb\n\x7f").c_str(),
                      "a\\x1b[2Jb\\x0a\\x7f");
  assert_string_equal(printable("\xff\xc3").c_str(), "\\xff\\xc3");
  assert_string_equal(printable("\xc2\x9b"
                                "2J")
                          .c_str(),
                      "\\xc2\\x9b2J");
}

void times_can_be_read(void**) {
  assert_string_equal(text_of_time(unix_time(1767225600)).c_str(),
                      "2026-01-01 00:00:00 UTC");
  assert_string_equal(text_of_time(kForever).c_str(), "for ever");
  assert_string_equal(text_of_span(Seconds{0}).c_str(), "0 seconds");
  assert_string_equal(text_of_span(Seconds{1}).c_str(), "1 second");
  assert_string_equal(text_of_span(Seconds{119}).c_str(), "119 seconds");
  assert_string_equal(text_of_span(Seconds{120}).c_str(), "2 minutes");
  assert_string_equal(text_of_span(Seconds{7200}).c_str(), "2 hours");
  assert_string_equal(text_of_span(Seconds{172800}).c_str(), "2 days");
}

void a_shell_takes_it_as_one_word(void**) {
  assert_string_equal(shell_word("cus_1").c_str(), "cus_1");
  assert_string_equal(shell_word("").c_str(), "''");
  assert_string_equal(shell_word("a b").c_str(), "'a b'");
  assert_string_equal(shell_word("u:1|cs_1").c_str(), "'u:1|cs_1'");
  assert_string_equal(shell_word("it's").c_str(), "'it'\\''s'");
}

void columns_stand_below_each_other(void**) {
  Table table({"A", "B"});
  table.add({"Zo\xc3\xab", "1"});
  table.add({"x", "2"});
  assert_string_equal(table.text().c_str(), "A    B\nZo\xc3\xab  1\nx    2\n");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(nobodys_name_moves_a_cursor),
      cmocka_unit_test(times_can_be_read),
      cmocka_unit_test(a_shell_takes_it_as_one_word),
      cmocka_unit_test(columns_stand_below_each_other),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
