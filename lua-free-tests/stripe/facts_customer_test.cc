#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/stripe/facts.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/source/claim.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;

namespace {

const test::Envelope kEnvelope{"evt_1", 1000};

void customer_metadata_claims_the_customer(void**) {
  for (const char* type : {"created", "updated"}) {
    Facts facts = test::facts(
        test::customer_event(kEnvelope, type, "cus_1", "42", "A@B.c"));
    assert_int_equal(facts.places.size(), 1);
    assert_string_equal(facts.places[0].place.c_str(), "cus_1");
    assert_int_equal(facts.places[0].claims.at(0).kind,
                     ClaimKind::customer_metadata);
    assert_string_equal(facts.places[0].claims.at(0).target.str().c_str(),
                        "u:42");
    assert_true(facts.places[0].sources.empty());
    assert_string_equal(facts.email.c_str(), "a@b.c");
  }
}

void an_email_alone_is_only_looked_up(void**) {
  Facts facts = test::facts(
      test::customer_event(kEnvelope, "created", "cus_1", "", "a@b.c"));
  assert_int_equal(facts.places.size(), 1);
  assert_true(facts.places[0].claims.empty());
}

void a_customer_that_says_nothing_is_ignored(void**) {
  Facts facts =
      test::facts(test::customer_event(kEnvelope, "updated", "cus_1", ""));
  assert_true(facts.places.empty());
  assert_false(facts.note.empty());
}

void a_deleted_customer_is_a_fact(void**) {
  Facts facts = test::facts_of_fixture("edge/customer_deleted_min.json");
  const PlaceFacts& own = facts.places.at(0);
  assert_string_equal(own.place.c_str(), "cus_Fx0000000001");
  assert_true(own.sources.at("cus_Fx0000000001").deleted.has_value());
}

void an_old_customer_may_have_an_id_of_its_own(void**) {
  Facts facts = test::facts(
      test::customer_event(kEnvelope, "updated", "user+1@example.com", "1"));
  assert_string_equal(facts.customer.c_str(), "user+1@example.com");
}

std::string with_account(std::string body, const char* customer) {
  std::string member = "\"customer\":\"cus_1\"";
  std::size_t at = body.find(member);
  assert_int_not_equal(at, std::string::npos);
  return body.replace(
      at, member.size(),
      "\"customer\":" + std::string(customer) +
          ",\"customer_account\":{\"object\":\"v2.core.account\","
          "\"id\":\"acct_9\"}");
}

void a_customer_by_two_names_is_one(void**) {
  std::string body = test::subscription_event(
      kEnvelope, "created", {.items = {test::item("pro", 5000)}, .user = "42"});
  Facts both = test::facts(with_account(body, "\"cus_1\""));
  assert_int_equal(both.places.size(), 2);
  assert_string_equal(both.places[0].place.c_str(), "acct_9");
  assert_string_equal(both.places[0].claims.at(0).target.str().c_str(),
                      "p:cus_1");
  assert_true(both.places[0].sources.empty());
  assert_string_equal(both.places[1].place.c_str(), "cus_1");
  assert_string_equal(both.customer.c_str(), "cus_1");

  Facts account = test::facts(with_account(body, "null"));
  assert_int_equal(account.places.size(), 1);
  assert_string_equal(account.places[0].place.c_str(), "acct_9");
  assert_string_equal(account.places[0].claims.at(0).target.str().c_str(),
                      "u:42");
}

void a_customer_says_its_second_name(void**) {
  std::string body =
      test::customer_event(kEnvelope, "created", "cus_1", "42", "a@b.c");
  body.replace(body.find("\"email\""), 7,
               "\"customer_account\":\"acct_9\",\"email\"");
  Facts facts = test::facts(body);
  assert_int_equal(facts.places.size(), 2);
  assert_string_equal(facts.places[0].place.c_str(), "acct_9");
  assert_string_equal(facts.places[1].place.c_str(), "cus_1");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(customer_metadata_claims_the_customer),
      cmocka_unit_test(an_email_alone_is_only_looked_up),
      cmocka_unit_test(a_customer_that_says_nothing_is_ignored),
      cmocka_unit_test(a_deleted_customer_is_a_fact),
      cmocka_unit_test(a_customer_by_two_names_is_one),
      cmocka_unit_test(a_customer_says_its_second_name),
      cmocka_unit_test(an_old_customer_may_have_an_id_of_its_own),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
