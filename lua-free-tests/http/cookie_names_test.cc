// Several cookies may stand for one session of the app.
#include "core/http/cookie_names.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/http/cookie.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::cookie_pairs;
using entitle::CookieNames;
using entitle::CookiePair;

std::string value(std::string_view names, std::string_view header,
                  const std::vector<std::string>& set = {}) {
  std::vector<CookiePair> sent;
  cookie_pairs(header, sent);
  return CookieNames::parse(names)->value(sent, set);
}

void every_cookie_of_a_line_is_a_pair(void**) {
  std::vector<CookiePair> pairs;
  cookie_pairs("a=1; b = 2=3 ;c;; d=", pairs);
  assert_int_equal(pairs.size(), 3);
  assert_true(pairs[0].name == "a" && pairs[0].value == "1");
  assert_true(pairs[1].name == "b" && pairs[1].value == "2=3");
  assert_true(pairs[2].name == "d" && pairs[2].value.empty());
}

void what_is_no_name_is_refused(void**) {
  for (const char* bad :
       {"", "|", "a|", "|a", "*", "a||b", "a b", "a=b", "a;"}) {
    assert_false(CookieNames::parse(bad).has_value());
  }
  assert_true(CookieNames::parse("connect.sid|_oauth2_proxy*").has_value());
}

void a_single_name_gives_its_bare_value(void**) {
  assert_true(value("sid", "x=1; sid=s1; y=2") == "s1");
  assert_true(value("sid", "sid=s1; sid=s2") == "s1;s2");
  assert_true(value("sid", "SID=s1; sid2=s2").empty());
}

void alternatives_that_are_there_count(void**) {
  assert_true(value("sid|remember", "remember=r; x=1") == "remember=r");
  assert_true(value("sid|remember", "sid=s; remember=r") == "remember=r;sid=s");
  assert_true(value("sid|remember", "x=1").empty());
}

void one_alternative_never_passes_for_another(void**) {
  assert_false(value("a|b", "a=x") == value("a|b", "b=x"));
  assert_false(value("a|b", "a=1; b=2") == value("a|b", "a=2; b=1"));
}

void the_order_in_which_a_browser_sends_chunks_does_not_matter(void**) {
  assert_true(value("app*", "app.1=b; app.0=a") ==
              value("app*", "app.0=a; z=1; app.1=b"));
  assert_false(value("app*", "app.0=a") == value("app*", "app.0=a; app.1=b"));
}

void what_the_app_sets_takes_the_place_of_what_was_sent(void**) {
  assert_true(value("sid", "sid=old", {"sid=new; Path=/"}) == "new");
  assert_true(value("sid", "sid=old", {"other=1"}) == "old");
  assert_true(value("sid", "sid=old", {"sid=; Max-Age=0"}).empty());
  assert_true(value("sid", "", {"sid=a", "sid=b"}) == "b");
  assert_true(value("connect.sid", "", {"connect.sid=s%3Ax"}) == "s%3Ax");
  assert_true(value("sid", "", {"SID=x", "sid2=y"}).empty());
  assert_true(value("app*", "app.0=a; app.1=b", {"app.1=; Max-Age=0"}) ==
              "app.0=a");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_cookie_of_a_line_is_a_pair),
      cmocka_unit_test(what_is_no_name_is_refused),
      cmocka_unit_test(a_single_name_gives_its_bare_value),
      cmocka_unit_test(alternatives_that_are_there_count),
      cmocka_unit_test(one_alternative_never_passes_for_another),
      cmocka_unit_test(
          the_order_in_which_a_browser_sends_chunks_does_not_matter),
      cmocka_unit_test(what_the_app_sets_takes_the_place_of_what_was_sent),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
