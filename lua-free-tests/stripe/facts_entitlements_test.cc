#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/stripe/facts.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;

namespace {

const test::Envelope kEnvelope{"evt_1", 1000};

const SummaryFact& summary(const Facts& facts) {
  return facts.places.back().sources.at("cus_1").summaries.at(0);
}

void a_summary_lists_features(void**) {
  std::vector<std::string> before = {"sso"};
  Facts facts = test::facts(
      test::summary_event(kEnvelope, "cus_1", {"sso", "api"}, false, &before));
  const SummaryFact& fact = summary(facts);
  assert_string_equal(test::joined(fact.identifiers).c_str(),
                      "feature=api feature=sso");
  assert_false(fact.has_more);
  assert_string_equal(test::joined(*fact.previous).c_str(), "feature=sso");
  assert_true(facts.identifiers == fact.identifiers);
}

void an_incomplete_summary_is_marked(void**) {
  Facts facts =
      test::facts(test::summary_event(kEnvelope, "cus_1", {"sso"}, true));
  assert_true(summary(facts).has_more);
  assert_false(summary(facts).previous.has_value());
}

void an_empty_summary_is_a_fact(void**) {
  Facts facts = test::facts(test::summary_event(kEnvelope, "cus_1", {}, false));
  assert_true(summary(facts).identifiers.empty());
}

void a_summary_without_list_says_nothing(void**) {
  std::string body = test::summary_event(kEnvelope, "cus_1", {}, false);
  body.replace(body.find("\"data\":[]"), 9, "\"data\":{}");
  Facts facts = test::facts(body);
  assert_true(facts.places.empty());
  assert_false(facts.note.empty());
}

void an_expanded_feature_may_carry_the_key(void**) {
  std::string body = test::summary_event(kEnvelope, "cus_1", {"sso"}, false);
  std::string plain = R"("feature":"feat_sso","lookup_key":"sso")";
  body.replace(body.find(plain), plain.size(),
               R"("feature":{"id":"feat_sso","lookup_key":"sso"})");
  assert_string_equal(
      test::joined(summary(test::facts(body)).identifiers).c_str(),
      "feature=sso");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_summary_lists_features),
      cmocka_unit_test(an_incomplete_summary_is_marked),
      cmocka_unit_test(an_empty_summary_is_a_fact),
      cmocka_unit_test(a_summary_without_list_says_nothing),
      cmocka_unit_test(an_expanded_feature_may_carry_the_key),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
