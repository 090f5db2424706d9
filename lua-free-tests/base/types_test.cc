#include "core/base/types.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::User;

namespace {

void user_is_1_to_255_bytes_without_control_bytes(void**) {
  assert_true(User::from("u").has_value());
  assert_true(User::from(std::string(255, 'u')).has_value());
  assert_true(User::from("auth0|5f7c 8e, {x}%").has_value());
  assert_true(User::from("Zo\xc3\xab").has_value());
  assert_true(User::from("\xff").has_value());

  assert_false(User::from("").has_value());
  assert_false(User::from(std::string(256, 'u')).has_value());
  for (int byte = 0; byte < 256; byte++) {
    std::string text = "a";
    text += static_cast<char>(byte);
    bool control = byte < 0x20 || byte == 0x7f;
    assert_int_equal(User::from(text).has_value(), !control);
  }
}

void modes_have_the_names_used_in_keys(void**) {
  assert_true(name(entitle::Mode::live) == "live");
  assert_true(name(entitle::Mode::test) == "test");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(user_is_1_to_255_bytes_without_control_bytes),
      cmocka_unit_test(modes_have_the_names_used_in_keys),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
