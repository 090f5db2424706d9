#include "core/access/requirement.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/source/identifier.h"

using entitle::all_met;
using entitle::Alternatives;
using entitle::missing_names;

namespace {

using Lines = std::vector<Alternatives>;
using Names = std::vector<std::string>;

void one_alternative_of_a_line_is_enough(void**) {
  assert_true(all_met(Lines{{"pro", "team"}}, Names{"team"}));
  assert_true(all_met(Lines{{"pro", "team"}}, Names{"basic", "pro"}));
  assert_false(all_met(Lines{{"pro", "team"}}, Names{"basic"}));
  assert_false(all_met(Lines{{"pro"}}, Names{}));
}

void every_line_must_hold(void**) {
  Lines lines = {{"pro", "team"}, {"beta"}};
  assert_true(all_met(lines, Names{"beta", "team"}));
  assert_false(all_met(lines, Names{"team"}));
  assert_false(all_met(lines, Names{"beta"}));
}

void no_line_asks_for_nothing(void**) {
  assert_true(all_met(Lines{}, Names{}));
  assert_true(missing_names(Lines{}, Names{}).empty());
}

void a_line_without_alternatives_never_holds(void**) {
  assert_false(all_met(Lines{{}}, Names{"pro"}));
}

void names_compare_exactly(void**) {
  for (std::string_view name :
       {"Pro", "pro ", "pr", "prox", "*", "any", "off"}) {
    assert_false(all_met(Lines{{name}}, Names{"pro"}));
  }
}

// Even where a record says the user holds such a name.
void empty_and_hostile_names_never_match(void**) {
  for (std::string name :
       {std::string(), std::string("a,b"), std::string("a\nb"),
        std::string("a\x7f"), std::string("\0", 1), std::string("\t")}) {
    assert_false(entitle::is_entitlement_name(name));
    assert_false(all_met(Lines{{name}}, Names{name}));
    assert_true(missing_names(Lines{{name}}, Names{}).empty());
  }
  assert_true(entitle::is_entitlement_name("Zo\xc3\xab - course 1"));
  assert_true(all_met(Lines{{"", "pro"}}, Names{"pro"}));
}

void missing_are_the_alternatives_of_lines_that_do_not_hold(void**) {
  Lines lines = {{"team", "pro"}, {"beta"}, {"pro", "", "early"}};
  assert_true(missing_names(lines, Names{"beta"}) ==
              (Names{"early", "pro", "team"}));
  assert_true(missing_names(lines, Names{"beta", "team"}) ==
              (Names{"early", "pro"}));
  assert_true(missing_names(lines, Names{"beta", "pro"}).empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_alternative_of_a_line_is_enough),
      cmocka_unit_test(every_line_must_hold),
      cmocka_unit_test(no_line_asks_for_nothing),
      cmocka_unit_test(a_line_without_alternatives_never_holds),
      cmocka_unit_test(names_compare_exactly),
      cmocka_unit_test(empty_and_hostile_names_never_match),
      cmocka_unit_test(missing_are_the_alternatives_of_lines_that_do_not_hold),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
