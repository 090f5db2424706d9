#include "core/source/stripe_id.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

void ids_are_bounded_and_plain(void**) {
  assert_true(is_object_id("cus_Aa0-._~@+"));
  assert_true(is_object_id(std::string(255, 'x')));
  for (std::string text :
       {std::string(), std::string(256, 'x'), std::string("a b"),
        std::string("a\"b"), std::string("a\\b"), std::string("a/b"),
        std::string("a\nb"), std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    assert_false(is_object_id(text));
  }
}

// One rule for what an event says, what `entitle_webhook_account` names and
// what stands before an identifier.
void an_account_is_letters_digits_and_underscores(void**) {
  for (std::string text : {"acct_1", "acct_1032D82eZvKYlo2C", "acct_test_61Rx",
                           "acct_00000000000000"}) {
    assert_true(AccountId::parse(text).has_value());
    assert_string_equal(AccountId::parse(text)->str().c_str(), text.c_str());
  }
  assert_true(AccountId::parse("acct_" + std::string(250, 'x')).has_value());
  for (std::string text :
       {std::string(), std::string("acct_"), std::string("acct"),
        std::string("cus_1"), std::string("xacct_1"), std::string("acct_a-b"),
        std::string("acct_a/b"), std::string("acct_a b"),
        std::string("acct_a.b"), std::string("acct_\xc3\xa4"),
        "acct_" + std::string(251, 'x')}) {
    assert_false(AccountId::parse(text).has_value());
  }
}

void an_id_says_whose_it_is(void**) {
  assert_true(AccountId().is_own());
  assert_string_equal(AccountId().qualify("cus_1").c_str(), "cus_1");
  AccountId connected = *AccountId::parse("acct_1");
  assert_false(connected.is_own());
  std::string qualified = connected.qualify("cus_1");
  assert_string_equal(qualified.c_str(), "acct_1/cus_1");
  StripeId id(qualified);
  assert_true(id.account() == "acct_1");
  assert_true(id.id() == "cus_1");
  assert_true(StripeId("cus_1").account().empty());
  assert_true(StripeId("cus_1").id() == "cus_1");
}

void what_is_nothing_else_is_a_customer(void**) {
  using Kind = StripeId::Kind;
  assert_true(StripeId("ch_1").kind() == Kind::charge);
  assert_true(StripeId("acct_1/py_1").kind() == Kind::charge);
  assert_true(StripeId("pi_1").kind() == Kind::payment_intent);
  assert_true(StripeId("acct_1/in_1").kind() == Kind::invoice);
  assert_true(StripeId("acct_1/cs_1").kind() == Kind::checkout_session);
  assert_true(StripeId("acct_9").kind() == Kind::customer_account);
  assert_true(StripeId("acct_1/acct_9").kind() == Kind::customer_account);
  assert_true(StripeId("cus_1").kind() == Kind::customer);
  assert_true(StripeId("jane@example.com").kind() == Kind::customer);
  assert_true(Kind::charge < Kind::payment_intent &&
              Kind::payment_intent < Kind::invoice &&
              Kind::invoice < Kind::checkout_session &&
              Kind::checkout_session < Kind::customer_account &&
              Kind::customer_account < Kind::customer);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(ids_are_bounded_and_plain),
      cmocka_unit_test(an_account_is_letters_digits_and_underscores),
      cmocka_unit_test(an_id_says_whose_it_is),
      cmocka_unit_test(what_is_nothing_else_is_a_customer),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
