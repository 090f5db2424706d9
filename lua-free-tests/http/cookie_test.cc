#include "core/http/cookie.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/base/types.h"

using entitle::CookieOptions;

namespace {

using Words = std::vector<std::string_view>;

std::string values(std::string_view header, std::string_view name) {
  std::vector<std::string_view> found;
  entitle::cookie_values(header, name, found);
  std::string text;
  for (std::string_view value : found) text += "[" + std::string(value) + "]";
  return text;
}

void expect(std::string_view header, std::string_view name,
            const char* expected) {
  assert_string_equal(values(header, name).c_str(), expected);
}

void every_value_of_a_name_is_found_in_order(void**) {
  expect("a=1; b=2; a=3", "a", "[1][3]");
  expect("a=1", "a", "[1]");
  expect("a=1;a=2;a=", "a", "[1][2][]");
  expect("b=2", "a", "");
  expect("", "a", "");
}

void names_compare_exactly_and_may_have_dots(void**) {
  expect("connect.sid=s%3Ax; connect_sid=y", "connect.sid", "[s%3Ax]");
  expect("A=1; aa=2; xa=3; a=4", "a", "[4]");
  expect("__Host-entitle=t", "__host-entitle", "");
}

void only_semicolons_separate(void**) {
  expect("a=1,b=2; c=3", "b", "");
  expect("a=1,b=2; c=3", "a", "[1,b=2]");
  expect("x=\"q; a=1\"", "a", "[1\"]");
}

void values_keep_all_but_surrounding_white_space(void**) {
  expect("a=b=c==; d=1", "a", "[b=c==]");
  expect(" a = x y \t;b=1", "a", "[x y]");
  expect("a=\"quoted\"", "a", "[\"quoted\"]");
}

void pairs_without_a_name_or_an_equals_sign_are_nothing(void**) {
  expect("a; =a=1; ;;; a=2", "a", "[2]");
  expect("=1; =2", "", "[1][2]");
  expect(";", "a", "");
}

void values_are_appended(void**) {
  std::vector<std::string_view> found = {"before"};
  entitle::cookie_values("a=1", "a", found);
  assert_int_equal(found.size(), 2);
}

void the_default_cookie_has_every_protection(void**) {
  std::string error;
  auto options = entitle::parse_cookie_options({"__Host-entitle"}, error);
  assert_true(options.has_value());
  assert_string_equal(
      entitle::set_cookie(*options, "token", entitle::Seconds(60)).c_str(),
      "__Host-entitle=token; Max-Age=60; Path=/; Secure; HttpOnly; "
      "SameSite=Lax");
  assert_string_equal(
      entitle::clear_cookie(*options).c_str(),
      "__Host-entitle=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
      "Path=/; Secure; HttpOnly; SameSite=Lax");
}

void every_parameter_reaches_the_cookie(void**) {
  std::string error;
  auto options =
      entitle::parse_cookie_options({"ent", "domain=example.com", "path=/app",
                                     "samesite=sTrict", "secure=off"},
                                    error);
  assert_true(options.has_value());
  assert_string_equal(
      entitle::set_cookie(*options, "", entitle::Seconds(0)).c_str(),
      "ent=; Max-Age=0; Path=/app; Domain=example.com; HttpOnly; "
      "SameSite=Strict");
  options =
      entitle::parse_cookie_options({"e", "samesite=none", "secure=on"}, error);
  assert_true(options.has_value());
  assert_string_equal(
      entitle::set_cookie(*options, "t", entitle::Seconds(1)).c_str(),
      "e=t; Max-Age=1; Path=/; Secure; HttpOnly; SameSite=None");
}

void expect_refused(const Words& words, const char* expected) {
  std::string error;
  auto options = entitle::parse_cookie_options(words, error);
  std::string shown;
  for (std::string_view word : words) shown += std::string(word) + " ";
  if (options) fail_msg("accepted: %s", shown.c_str());
  if (error.find(expected) == std::string::npos) {
    fail_msg("%s: \"%s\" does not say \"%s\"", shown.c_str(), error.c_str(),
             expected);
  }
}

void what_browsers_would_drop_is_refused(void**) {
  expect_refused({"__Host-e", "domain=example.com"}, "__Host-");
  expect_refused({"__Host-e", "path=/app"}, "path=/");
  expect_refused({"__host-e", "secure=off"}, "secure=off");
  expect_refused({"__Secure-e", "secure=off"}, "secure=off");
  expect_refused({"__Http-e", "secure=off"}, "secure=off");
  expect_refused({"e", "samesite=none", "secure=off"}, "samesite=none");
}

void bad_words_are_refused_and_named(void**) {
  expect_refused({}, "cookie name");
  expect_refused({""}, "cookie name");
  for (std::string_view name :
       {"a b", "a=b", "a;b", "a,b", "a\"", "a\n", "n\xc3\xa9", "a/b"}) {
    expect_refused({name}, "cookie name");
  }
  expect_refused({"e", "domain="}, "\"domain=\"");
  expect_refused({"e", "domain=a b"}, "host name");
  expect_refused({"e", "domain=a;b"}, "host name");
  expect_refused({"e", "path=app"}, "path=");
  expect_refused({"e", "path=/;x"}, "path=");
  expect_refused({"e", "path=/\n"}, "path=");
  expect_refused({"e", "samesite=maybe"}, "\"samesite=maybe\"");
  expect_refused({"e", "samesite"}, "samesite=");
  expect_refused({"e", "secure=no"}, "on or off");
  expect_refused({"e", "httponly=off"}, "parameters are");
  expect_refused({"e", "path=/a", "path=/b"}, "once");
}

void unusual_but_working_options_are_taken(void**) {
  std::string error;
  for (const Words& words :
       {Words{"__Host-e", "path=/", "secure=on"},
        Words{"__Secure-e", "domain=.example.com"},
        Words{"connect.sid", "secure=off"}, Words{"e", "samesite=Lax"}}) {
    if (!entitle::parse_cookie_options(words, error)) {
      fail_msg("%s", error.c_str());
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_value_of_a_name_is_found_in_order),
      cmocka_unit_test(names_compare_exactly_and_may_have_dots),
      cmocka_unit_test(only_semicolons_separate),
      cmocka_unit_test(values_keep_all_but_surrounding_white_space),
      cmocka_unit_test(pairs_without_a_name_or_an_equals_sign_are_nothing),
      cmocka_unit_test(values_are_appended),
      cmocka_unit_test(the_default_cookie_has_every_protection),
      cmocka_unit_test(every_parameter_reaches_the_cookie),
      cmocka_unit_test(what_browsers_would_drop_is_refused),
      cmocka_unit_test(bad_words_are_refused_and_named),
      cmocka_unit_test(unusual_but_working_options_are_taken),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
