// What a program reads when it is refused (RFC 9457).
#include "core/access/problem.h"

#include <jansson.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/access/decision.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

// The document, freed by the caller.
json_t* read(const Ruling& ruling) {
  const std::string text = problem_json(ruling);
  json_t* problem = json_loadb(text.data(), text.size(), 0, nullptr);
  assert_non_null(problem);
  return problem;
}

void says(json_t* problem, const char* key, const char* text) {
  assert_string_equal(json_string_value(json_object_get(problem, key)), text);
}

void a_guest_reads_401(void**) {
  json_t* problem = read(not_logged_in(Reason::session_expired));
  says(problem, "type", "about:blank");
  says(problem, "title", "Unauthorized");
  says(problem, "decision", "login");
  says(problem, "reason", "session_expired");
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), 401);
  assert_null(json_object_get(problem, "missing"));
  json_decref(problem);
}

void who_has_not_paid_reads_402_and_what_is_missing(void**) {
  Ruling ruling;
  ruling.decision = Decision::pay;
  ruling.reason = Reason::not_entitled;
  ruling.missing = {"pro", "te\"am"};
  json_t* problem = read(ruling);
  says(problem, "title", "Payment Required");
  says(problem, "reason", "not_entitled");
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), 402);
  const json_t* missing = json_object_get(problem, "missing");
  assert_int_equal(json_array_size(missing), 2);
  assert_string_equal(json_string_value(json_array_get(missing, 0)), "pro");
  assert_string_equal(json_string_value(json_array_get(missing, 1)), "te\"am");
  json_decref(problem);
}

void doubt_reads_503(void**) {
  json_t* problem = read(cannot_tell(Reason::reauth_failed));
  says(problem, "title", "Service Unavailable");
  says(problem, "decision", "error");
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), 503);
  json_decref(problem);
}

void a_name_that_is_no_text_breaks_nothing(void**) {
  Ruling ruling;
  ruling.decision = Decision::pay;
  ruling.missing = {"\xff\xfe", "pro"};
  json_t* problem = read(ruling);
  assert_int_equal(json_array_size(json_object_get(problem, "missing")), 1);
  json_decref(problem);
}

void each_decision_has_its_status(void**) {
  assert_int_equal(status_of(Decision::login), 401);
  assert_int_equal(status_of(Decision::pay), 402);
  assert_int_equal(status_of(Decision::error), 503);
  assert_int_equal(status_of(Decision::allow), 200);
}

void a_person_reads_a_page(void**) {
  const std::string page = problem_page(not_logged_in(Reason::no_session),
                                        "/login?a=1&b=\"><script>");
  assert_true(page.find("<h1>Unauthorized</h1>") != std::string::npos);
  assert_true(page.find("href=\"/login?a=1&amp;b=&quot;>&lt;script>\"") !=
              std::string::npos);
  Ruling ruling;
  ruling.decision = Decision::pay;
  assert_true(problem_page(ruling, "/login").find("href") == std::string::npos);
  assert_true(
      problem_page(not_logged_in(Reason::no_session), "").find("href") ==
      std::string::npos);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_guest_reads_401),
      cmocka_unit_test(who_has_not_paid_reads_402_and_what_is_missing),
      cmocka_unit_test(doubt_reads_503),
      cmocka_unit_test(a_name_that_is_no_text_breaks_nothing),
      cmocka_unit_test(each_decision_has_its_status),
      cmocka_unit_test(a_person_reads_a_page),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
