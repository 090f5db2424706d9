// What a program reads when it has waited and is let in.
#include "core/access/granted.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/access/decision.h"
#include "core/base/types.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

Ruling allowed(std::vector<std::string> entitlements, UnixTime until) {
  return {Decision::allow, Reason::ok, until, std::move(entitlements), {}};
}

void it_says_what_the_user_has_and_until_when(void**) {
  assert_string_equal(
      granted_json(allowed({"pro", "team"}, unix_time(1'769'592'000)),
                   1'767'000'000'001)
          .c_str(),
      R"({"decision":"allow","entitlements":["pro","team"],)"
      R"("version":1767000000001,"until":1769592000})");
}

void what_has_no_known_end_says_none(void**) {
  assert_string_equal(granted_json(allowed({}, kForever), 0).c_str(),
                      R"({"decision":"allow","entitlements":[],"version":0})");
}

void old_knowledge_says_so(void**) {
  Ruling ruling = allowed({"pro"}, kForever);
  ruling.decision = Decision::allow_stale;
  assert_non_null(
      strstr(granted_json(ruling, 1).c_str(), R"("decision":"allow_stale")"));
}

// An event of a stream is a line: it must be one, whatever a name is.
void it_is_one_line(void**) {
  const std::string text = granted_json(
      allowed({"a\nb", "\"", "\xc3\xa9", "\xff", "\r"}, kForever), 1);
  for (char c : text) assert_true(c == '\xc3' || c == '\xa9' || c >= 0x20);
  assert_non_null(strstr(text.c_str(),
                         "[\"a\\u000ab\",\"\\\"\",\"\xc3\xa9\",\"\\u000d\"]"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_says_what_the_user_has_and_until_when),
      cmocka_unit_test(what_has_no_known_end_says_none),
      cmocka_unit_test(old_knowledge_says_so),
      cmocka_unit_test(it_is_one_line),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
