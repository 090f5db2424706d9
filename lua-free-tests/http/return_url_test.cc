#include "core/http/return_url.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "core/base/percent.h"

using entitle::return_url;

namespace {

void expect(std::string_view target, const char* expected) {
  std::string actual = return_url(target);
  if (actual != expected) {
    fail_msg("%s: %s, not %s", std::string(target).c_str(), actual.c_str(),
             expected);
  }
}

void decoded_once_it_is_path_and_query_again(void**) {
  expect("/", "/");
  expect("/lessons/1", "/lessons/1");
  expect("/a%20b/?x=1&y=%2F+z", "/a%2520b/%3Fx%3D1%26y%3D%252F%2Bz");
  expect("/~me/a-b_c.html", "/~me/a-b_c.html");
  expect("/caf\xc3\xa9", "/caf%C3%A9");
  expect("/a#b\"<>'", "/a%23b%22%3C%3E%27");
  for (std::string target : {"/a?b=c&d=%26", "/x//y", "/?q=//evil"}) {
    assert_true(entitle::percent_decode(return_url(target)) == target);
  }
}

void nothing_after_the_first_slash_starts_a_host(void**) {
  for (std::string target :
       {"//evil.example", "/\\evil.example", "///evil.example",
        "/\\/evil.example", "/%2fevil.example", "/%5Cevil.example",
        "/\t/evil.example", "/%09/evil.example", "/%0d%0a/evil.example",
        "/ /evil.example", "/%20//evil.example", "/\r\n\\evil.example"}) {
    expect(target, "/evil.example");
  }
  expect("//", "/");
  expect("/%2f", "/");
  expect("/%2", "/%252");
  expect("/%zz", "/%25zz");
}

void control_bytes_are_dropped(void**) {
  expect("/a\r\nSet-Cookie: x", "/aSet-Cookie%3A%20x");
  expect(std::string_view("/a\0b\x7f", 5), "/ab");
  expect("/a%0d%0ab", "/a%250d%250ab");
}

void an_absolute_target_loses_its_authority(void**) {
  expect("http://site.example/a?b", "/a%3Fb");
  expect("HTTPS://u@site.example:1/a", "/a");
  expect("http://site.example", "/");
  expect("http://site.example?b", "/%3Fb");
  expect("http://site.example//evil", "/evil");
  expect("/http://site.example/", "/http%3A//site.example/");
}

void other_forms_lead_to_the_start_page(void**) {
  for (const char* target : {"", "*", "evil.example", "javascript:alert(1)",
                             "site.example:443", "\\evil", "a/http://b/c"}) {
    expect(target, "/");
  }
}

// 8 KiB of a target would make the login page's own request too long.
void a_long_query_is_left_out_and_a_long_path_too(void**) {
  std::string fits = "/a?" + std::string(entitle::kMaxReturnUrl - 5, 'x');
  assert_int_equal(return_url(fits).size(), entitle::kMaxReturnUrl);
  assert_true(return_url(fits + "x") == "/a");
  assert_true(return_url("/" + std::string(8192, 'x')) == "/");
  assert_true(return_url("/" + std::string(2000, '?')) == "/");
}

void any_byte_in_any_place_is_safe(void**) {
  for (int a = 0; a < 256; a++) {
    for (int b = 0; b < 256; b++) {
      std::string target = {'/', static_cast<char>(a), static_cast<char>(b),
                            'x'};
      std::string url = return_url(target);
      assert_int_equal(url[0], '/');
      auto decoded = entitle::percent_decode(url);
      assert_true(decoded.has_value());
      assert_true(decoded->size() < 2 ||
                  ((*decoded)[1] != '/' && (*decoded)[1] != '\\'));
      for (char c : url) assert_true(c > 0x20 && c < 0x7f);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(decoded_once_it_is_path_and_query_again),
      cmocka_unit_test(nothing_after_the_first_slash_starts_a_host),
      cmocka_unit_test(control_bytes_are_dropped),
      cmocka_unit_test(an_absolute_target_loses_its_authority),
      cmocka_unit_test(other_forms_lead_to_the_start_page),
      cmocka_unit_test(a_long_query_is_left_out_and_a_long_path_too),
      cmocka_unit_test(any_byte_in_any_place_is_safe),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
