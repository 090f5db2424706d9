#include "core/source/target.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using namespace entitle;

namespace {

void it_is_a_user_or_a_place(void**) {
  Target user = Target::of(*User::from("p:42"));
  assert_string_equal(user.user()->str().c_str(), "p:42");
  assert_true(user.place().empty());
  Target place = Target::of_place("acct_1/cus_1");
  assert_false(place.user().has_value());
  assert_true(place.place() == "acct_1/cus_1");
  assert_true(user != place);
}

void it_reads_what_it_writes(void**) {
  Target user = Target::of(*User::from("J\xc3\xbcrgen {1}%"));
  assert_string_equal(user.encode().c_str(), "u:J%C3%BCrgen %7B1%7D%25");
  assert_true(Target::decode(user.encode()) == user);
  Target place = Target::of_place("cus_1");
  assert_string_equal(place.encode().c_str(), "p:cus_1");
  assert_true(Target::decode("p:cus_1") == place);
}

void it_reads_nothing_else(void**) {
  for (const char* text : {"", "u:", "p:", "u:%0a", "u:%", "t:acme", "alice"}) {
    assert_false(Target::decode(text).has_value());
  }
  // What a later version wrote is kept, and is neither.
  Target later("t:acme");
  assert_string_equal(later.str().c_str(), "t:acme");
  assert_false(later.user().has_value());
  assert_true(later.place().empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_is_a_user_or_a_place),
      cmocka_unit_test(it_reads_what_it_writes),
      cmocka_unit_test(it_reads_nothing_else),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
