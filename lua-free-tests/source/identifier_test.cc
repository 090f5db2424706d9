#include "core/source/identifier.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::AccountId;
using entitle::Identifier;

void operator_may_write_each_type_of_identifier(void**) {
  for (std::string text :
       {"price_1Abc", "prod_x", "plink_1_2", "lookup_key=pro monthly",
        "feature=pro", "metadata=a=b", "acct_1A2b/price_1",
        "acct_1/feature=a/b", "feature=acct_1/x", "acct_a_b/price_1"}) {
    std::optional<Identifier> identifier = Identifier::parse(text);
    if (!identifier) fail_msg("refused: %s", text.c_str());
    assert_string_equal(identifier->str().c_str(), text.c_str());
  }
}

void anything_else_is_no_identifier(void**) {
  for (std::string text : {"",
                           "pro",
                           "sub_1",
                           "price_",
                           "prod_",
                           "plink_",
                           "price_a-b",
                           "price_a b",
                           "price_1 ",
                           "PRICE_1",
                           "feature=",
                           "lookup_key=",
                           "metadata=",
                           "Feature=x",
                           "features=x",
                           "=x",
                           "feature=a,b",
                           "feature=a\nb",
                           "feature=\x7f",
                           "acct_/price_1",
                           "acct_1/",
                           "acct_1/pro",
                           "acct_1/acct_2/price_1",
                           "acct_a-b/price_1",
                           "xacct_1/price_1",
                           "price_1/price_2",
                           "acct_1"}) {
    if (Identifier::parse(text)) fail_msg("accepted: %s", text.c_str());
  }
  assert_false(Identifier::parse(std::string("feature=a\0b", 11)).has_value());
}

void values_are_at_most_255_bytes(void**) {
  assert_true(Identifier::feature({}, std::string(255, 'f')).has_value());
  assert_false(Identifier::feature({}, std::string(256, 'f')).has_value());
  assert_true(Identifier::from_stripe_id({}, "price_" + std::string(249, 'p'))
                  .has_value());
  assert_false(Identifier::from_stripe_id({}, "price_" + std::string(250, 'p'))
                   .has_value());
}

void what_events_say_is_what_an_operator_writes(void**) {
  const AccountId connected = *AccountId::parse("acct_9");
  assert_true(Identifier::from_stripe_id({}, "prod_1") ==
              Identifier::parse("prod_1"));
  assert_true(Identifier::from_stripe_id(connected, "prod_1") ==
              Identifier::parse("acct_9/prod_1"));
  assert_true(Identifier::lookup_key(connected, "k") ==
              Identifier::parse("acct_9/lookup_key=k"));
  assert_true(Identifier::feature({}, "f") == Identifier::parse("feature=f"));
  assert_true(Identifier::metadata({}, "m") == Identifier::parse("metadata=m"));
}

// Products may be given ids of one's own choosing.
void a_product_id_never_passes_for_another_type(void**) {
  assert_false(Identifier::from_stripe_id({}, "feature=pro").has_value());
  assert_false(Identifier::from_stripe_id({}, "acct_1/prod_1").has_value());
  assert_false(Identifier::from_stripe_id({}, "prod_1/x").has_value());
  assert_false(Identifier::from_stripe_id({}, "gold").has_value());
}

void its_parts_are_what_it_was_made_of(void**) {
  using Type = Identifier::Type;
  for (std::string account : {"", "acct_9"}) {
    AccountId whose;
    if (!account.empty()) whose = *AccountId::parse(account);
    auto expect = [&](const Identifier& made, Type type, const char* value) {
      Identifier::Parts parts = made.parts();
      assert_true(parts.account == account);
      assert_true(parts.type == type);
      assert_true(parts.value == value);
    };
    expect(*Identifier::from_stripe_id(whose, "price_1"), Type::price, "1");
    expect(*Identifier::from_stripe_id(whose, "prod_1"), Type::product, "1");
    expect(*Identifier::from_stripe_id(whose, "plink_1"), Type::payment_link,
           "1");
    expect(*Identifier::lookup_key(whose, "a/b"), Type::lookup_key, "a/b");
    expect(*Identifier::feature(whose, "acct_1/x"), Type::feature, "acct_1/x");
    expect(*Identifier::metadata(whose, "m=n"), Type::metadata, "m=n");
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(operator_may_write_each_type_of_identifier),
      cmocka_unit_test(anything_else_is_no_identifier),
      cmocka_unit_test(values_are_at_most_255_bytes),
      cmocka_unit_test(what_events_say_is_what_an_operator_writes),
      cmocka_unit_test(a_product_id_never_passes_for_another_type),
      cmocka_unit_test(its_parts_are_what_it_was_made_of),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
