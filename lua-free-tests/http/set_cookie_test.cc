// The session is bound to the app's cookie as it is after the app's answer.
#include "core/http/set_cookie.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::parse_set_cookie;

void name_and_value_end_at_the_first_semicolon(void**) {
  const auto cookie = parse_set_cookie("sid=abc=def; Path=/; HttpOnly");
  assert_true(cookie.has_value());
  assert_true(cookie->name == "sid");
  assert_true(cookie->value == "abc=def");
}

void spaces_around_are_not_part(void**) {
  const auto cookie = parse_set_cookie(" sid = a b \t; Path=/");
  assert_true(cookie.has_value());
  assert_true(cookie->name == "sid");
  assert_true(cookie->value == "a b");
}

void quotes_belong_to_the_value(void**) {
  assert_true(parse_set_cookie("sid=\"x\"")->value == "\"x\"");
}

void what_browsers_ignore_is_ignored(void**) {
  assert_false(parse_set_cookie("").has_value());
  assert_false(parse_set_cookie("sid").has_value());
  assert_false(parse_set_cookie("; sid=x").has_value());
  assert_false(parse_set_cookie("=x").has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(name_and_value_end_at_the_first_semicolon),
      cmocka_unit_test(spaces_around_are_not_part),
      cmocka_unit_test(quotes_belong_to_the_value),
      cmocka_unit_test(what_browsers_ignore_is_ignored),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
