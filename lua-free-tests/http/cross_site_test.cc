// What browsers say of who makes a request is believed where it says "another".
#include "core/http/cross_site.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::is_cross_site;

void the_browser_says_which_site(void**) {
  for (const char* ours : {"same-origin", "none"}) {
    assert_false(is_cross_site(ours, "https://evil.example", "shop.example"));
  }
  for (const char* other : {"cross-site", "", "Same-Origin", "same-origin,"}) {
    assert_true(is_cross_site(other, "https://shop.example", "shop.example"));
  }
}

void a_sibling_is_another_site(void**) {
  const auto cross = [](std::optional<std::string_view> origin) {
    return is_cross_site("same-site", origin, "shop.example");
  };
  assert_true(cross("https://blog.shop.example"));
  assert_true(cross("https://shop.example:8443"));
  assert_true(cross("null"));
  assert_true(cross(std::nullopt));
  assert_false(cross("http://shop.example"));
}

void an_older_one_says_its_origin(void**) {
  const auto cross = [](const char* origin) {
    return is_cross_site(std::nullopt, origin, "Shop.example:8443");
  };
  assert_false(cross("https://shop.example:8443"));
  assert_false(cross("http://shop.example:8443"));
  assert_true(cross("https://shop.example"));
  assert_true(cross("https://shop.example:84433"));
  assert_true(cross("https://evil.example"));
  assert_true(cross("https://shop.example:8443.evil.example"));
  assert_true(cross("null"));
  assert_true(cross(""));
}

void a_program_that_says_nothing_is_no_page(void**) {
  assert_false(is_cross_site(std::nullopt, std::nullopt, "shop.example"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_browser_says_which_site),
      cmocka_unit_test(a_sibling_is_another_site),
      cmocka_unit_test(an_older_one_says_its_origin),
      cmocka_unit_test(a_program_that_says_nothing_is_no_page),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
