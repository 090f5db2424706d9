
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "core/delivery/outcome.h"
#include "core/delivery/response.h"

namespace {

using namespace entitle;

void assert_answer(Outcome outcome, int status, const char* body) {
  Response given = response_to(outcome, {"pro", "team"});
  assert_int_equal(given.status, status);
  assert_string_equal(given.body.c_str(), body);
}

void stored_events_say_what_they_unlock(void**) {
  assert_answer(
      Outcome::applied, 200,
      R"({"received":true,"outcome":"applied","unlocks":["pro","team"]})");
  assert_answer(
      Outcome::duplicate, 200,
      R"({"received":true,"outcome":"duplicate","unlocks":["pro","team"]})");
  assert_answer(
      Outcome::superseded, 200,
      R"({"received":true,"outcome":"superseded","unlocks":["pro","team"]})");
  assert_string_equal(response_to(Outcome::applied, {}).body.c_str(),
                      R"({"received":true,"outcome":"applied","unlocks":[]})");
}

void ignored_is_success(void**) {
  assert_answer(Outcome::ignored, 200,
                R"({"received":true,"outcome":"ignored"})");
}

void what_a_person_should_see_is_202(void**) {
  assert_answer(Outcome::parked, 202,
                R"({"received":true,"outcome":"parked"})");
  assert_answer(Outcome::unmatched, 202,
                R"({"received":true,"outcome":"unmatched"})");
  assert_answer(Outcome::mode_mismatch, 202,
                R"({"received":true,"outcome":"mode_mismatch"})");
  assert_answer(Outcome::account_not_allowed, 202,
                R"({"received":true,"outcome":"account_not_allowed"})");
}

void what_unlocks_nothing_says_what_it_carries(void**) {
  std::vector<Identifier> carries = {*Identifier::parse("metadata.plan=\"p\""),
                                     *Identifier::parse("price_1")};
  assert_string_equal(response_to(Outcome::unmatched, {}, carries).body.c_str(),
                      R"({"received":true,"outcome":"unmatched",)"
                      R"("carries":["metadata.plan=\"p\"","price_1"]})");
  const char* awaits = "customer.subscription.created";
  assert_string_equal(
      response_to(Outcome::unmatched, {}, {}, awaits).body.c_str(),
      R"({"received":true,"outcome":"unmatched",)"
      R"("awaits":"customer.subscription.created"})");
  assert_string_equal(
      response_to(Outcome::applied, {}, {}, awaits).body.c_str(),
      R"({"received":true,"outcome":"applied","unlocks":[],)"
      R"("awaits":"customer.subscription.created"})");
}

void what_is_not_stored_must_come_again(void**) {
  assert_answer(Outcome::not_stored, 503, R"({"error":"not_stored"})");
}

void bodies_are_json_whatever_the_names(void**) {
  assert_string_equal(
      response_to(Outcome::applied, {"a\"b\\c\n"}).body.c_str(),
      R"({"received":true,"outcome":"applied","unlocks":["a\"b\\c\u000a"]})");
  assert_string_equal(error_body("signature_mismatch").c_str(),
                      R"({"error":"signature_mismatch"})");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(stored_events_say_what_they_unlock),
      cmocka_unit_test(ignored_is_success),
      cmocka_unit_test(what_a_person_should_see_is_202),
      cmocka_unit_test(what_unlocks_nothing_says_what_it_carries),
      cmocka_unit_test(what_is_not_stored_must_come_again),
      cmocka_unit_test(bodies_are_json_whatever_the_names),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
