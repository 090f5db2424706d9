// What people write after --until, and which names there are.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "cli/base/progress.h"
#include "cli/base/stop.h"
#include "cli/command/until.h"
#include "cli/conf/names.h"
#include "cli/conf/settings.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::cli;
using std::chrono::milliseconds;

void dates_are_read(void**) {
  // 2027-01-31T00:00:00Z is 1801353600.
  assert_int_equal(to_unix(until_of("2027-01-31")), 1801353600 + 86400);
  assert_int_equal(to_unix(until_of("2027-01-31T12:00:05Z")),
                   1801353600 + 43205);
  assert_int_equal(to_unix(until_of("2027-01-31 12:00")), 1801353600 + 43200);
  assert_int_equal(to_unix(until_of("1801353600")), 1801353600);
  assert_int_equal(to_unix(until_of("2028-02-29")), 1835481600);
  for (const char* no :
       {"", "tomorrow", "2027-02-29", "2027-1-31", "2027-01-31T", "20270131",
        "2027-01-31T24:00", "2027-01-31T12:00:60", "2027-01-31T12:00+01:00",
        "2027-01-31x", "99999999999999"}) {
    bool refused = false;
    try {
      until_of(no);
    } catch (const Stop& stop) {
      refused = stop.how() == Exit::usage;
    }
    if (!refused) fail_msg("\"%s\" is taken", no);
  }
}

void spans_do_not_overflow(void**) {
  assert_true(time_of("1y") == std::chrono::hours(24 * 365));
  bool refused = false;
  try {
    time_of("1000000000y");
  } catch (const Stop&) {
    refused = true;
  }
  assert_true(refused);
}

void a_variable_stands_for_something(void**) {
  const std::set<std::string> known = {"pro", "course_$id", "$org-team",
                                       "${a}b"};
  for (const char* yes : {"pro", "course_7", "acme-team", "xb"}) {
    assert_true(is_known_name(known, yes));
  }
  for (const char* no : {"Pro", "prof", "course_", "-team", "b", "xc", ""}) {
    if (is_known_name(known, no)) fail_msg("\"%s\" is known", no);
  }
}

void progress_says_rate_and_rest(void**) {
  assert_string_equal(
      text_of_progress("keys", 500, 2000, milliseconds(2000)).c_str(),
      "keys: 500 of 2000 (25%), 250/s, 6 seconds left");
  assert_string_equal(
      text_of_progress("lines", 10, std::nullopt, milliseconds(2000)).c_str(),
      "lines: 10, 5/s");
  assert_string_equal(text_of_progress("keys", 0, 10, milliseconds(0)).c_str(),
                      "keys: 0 of 10 (0%), 0/s");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(dates_are_read),
      cmocka_unit_test(spans_do_not_overflow),
      cmocka_unit_test(a_variable_stands_for_something),
      cmocka_unit_test(progress_says_rate_and_rest),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
