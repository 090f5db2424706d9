#include "core/base/decimal.h"

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

void digits_alone_are_a_number(void**) {
  assert_true(parse_decimal<int>("0") == 0);
  assert_true(parse_decimal<int>("007") == 7);
  assert_true(parse_decimal<std::int64_t>("9223372036854775807") == INT64_MAX);
  for (std::string_view text :
       {"", "-0", "-1", "+1", " 1", "1 ", "1x", "0x1", "1e3", "1.0"}) {
    assert_false(parse_decimal<int>(text).has_value());
    assert_false(parse_canonical_decimal<int>(text).has_value());
  }
}

void what_does_not_fit_is_none(void**) {
  assert_true(parse_decimal<std::uint16_t>("65535") == 65535);
  assert_false(parse_decimal<std::uint16_t>("65536").has_value());
  assert_false(parse_decimal<std::int64_t>("9223372036854775808").has_value());
  assert_true(parse_decimal<int>("15", 15) == 15);
  assert_false(parse_decimal<int>("16", 15).has_value());
}

void canonical_is_without_leading_zeros(void**) {
  assert_true(parse_canonical_decimal<int>("0") == 0);
  assert_true(parse_canonical_decimal<int>("10") == 10);
  assert_false(parse_canonical_decimal<int>("00").has_value());
  assert_false(parse_canonical_decimal<int>("01").has_value());
}

void digits_are_taken_off_the_front(void**) {
  std::string_view text = "12:34";
  assert_true(take_digits(text) == "12");
  assert_true(text == ":34");
  assert_true(take_digits(text).empty());
  text = "5";
  assert_true(take_digits(text) == "5");
  assert_true(text.empty());
  assert_true(take_digits(text).empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(digits_alone_are_a_number),
      cmocka_unit_test(what_does_not_fit_is_none),
      cmocka_unit_test(canonical_is_without_leading_zeros),
      cmocka_unit_test(digits_are_taken_off_the_front),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
