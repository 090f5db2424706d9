#include "core/base/ascii.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

void each_byte_is_what_it_is(void**) {
  for (int value = 0; value < 256; value++) {
    char c = static_cast<char>(value);
    assert_int_equal(is_control_byte(c), value < 0x20 || value == 0x7f);
    assert_int_equal(is_visible(c), value > 0x20 && value < 0x7f);
    bool digit = value >= '0' && value <= '9';
    bool letter =
        (value >= 'A' && value <= 'Z') || (value >= 'a' && value <= 'z');
    assert_int_equal(is_digit(c), digit);
    assert_int_equal(is_alphanumeric(c), digit || letter);
    bool upper = value >= 'A' && value <= 'Z';
    assert_true(ascii_lower(c) == (upper ? static_cast<char>(value + 32) : c));
  }
}

void a_text_is_what_all_its_bytes_are(void**) {
  assert_false(has_control_bytes(""));
  assert_false(has_control_bytes("a b\xff"));
  assert_true(has_control_bytes("a\tb"));
  assert_true(has_control_bytes(std::string_view("a\0", 2)));
  assert_true(all_visible("a~!"));
  assert_false(all_visible("a b"));
  assert_false(all_visible("\xc3\xa4"));
}

void a_token_is_a_header_name(void**) {
  assert_true(is_token("X-Api_Key.1"));
  assert_true(is_token("!#$%&'*+-.^_`|~"));
  for (std::string_view text : {"", "a b", "a:", "a=b", "a,b", "a/b", "\"a\"",
                                "(a)", "\xc3\xa4", "a\x7f"}) {
    assert_false(is_token(text));
  }
}

void case_and_blanks_are_ascii(void**) {
  assert_true(lower_case("J\xc3\x84NE@X.ORG") == "j\xc3\x84ne@x.org");
  assert_true(equal_ignoring_case("Bearer", "bEARER"));
  assert_false(equal_ignoring_case("Bearer", "Beare"));
  assert_true(trim_ows(" \ta b\t ") == "a b");
  assert_true(trim_ows("\na\r") == "\na\r");
  assert_true(trim_ows(" \t").empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_byte_is_what_it_is),
      cmocka_unit_test(a_text_is_what_all_its_bytes_are),
      cmocka_unit_test(a_token_is_a_header_name),
      cmocka_unit_test(case_and_blanks_are_ascii),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
