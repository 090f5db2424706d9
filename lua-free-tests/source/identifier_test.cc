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
  for (std::string text : {"price_1Abc",
                           "prod_x",
                           "plink_1_2",
                           "lookup_key=pro monthly",
                           "feature=pro",
                           "metadata=a=b",
                           "acct_1A2b/price_1",
                           "acct_1/feature=a/b",
                           "feature=acct_1/x",
                           "acct_a_b/price_1",
                           "plan_Fx1",
                           "acct_1/plan_1",
                           "price=monthly8usd",
                           "price=price_a-b",
                           "price=plan 8/month",
                           "acct_1/price=gold",
                           "metadata.plan=pro",
                           "metadata.a b=c, d=e",
                           "metadata.metadata=x",
                           "acct_1/metadata.k=v"}) {
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
                           "plan_",
                           "plan_a-b",
                           "plan=gold",
                           "price=",
                           "price=a,b",
                           "price=a\nb",
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
                           "metadata.",
                           "metadata.plan",
                           "metadata.plan=",
                           "metadata.=pro",
                           "metadata.pl\nan=pro",
                           "metadata.plan=p\tro",
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

// Old accounts gave plans ids of their own: any text.
void a_price_is_known_by_whatever_id_it_has(void**) {
  const AccountId connected = *AccountId::parse("acct_9");
  auto said = [&](const char* id) {
    return Identifier::price(connected, id)->str();
  };
  assert_string_equal(said("price_1").c_str(), "acct_9/price_1");
  assert_string_equal(said("plan_1").c_str(), "acct_9/plan_1");
  assert_string_equal(said("monthly8usd").c_str(), "acct_9/price=monthly8usd");
  assert_string_equal(said("feature=pro").c_str(), "acct_9/price=feature=pro");
  assert_string_equal(said("prod_1").c_str(), "acct_9/price=prod_1");
  assert_string_equal(said("acct_1/price_1").c_str(),
                      "acct_9/price=acct_1/price_1");
  assert_false(Identifier::price({}, "a,b").has_value());
  assert_false(Identifier::price({}, "").has_value());
}

void an_operator_may_write_any_price_as_text(void**) {
  assert_true(Identifier::parse("price=price_1") ==
              Identifier::parse("price_1"));
  assert_true(Identifier::parse("acct_9/price=plan_1") ==
              Identifier::parse("acct_9/plan_1"));
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
    expect(*Identifier::price(whose, "plan_1"), Type::plan, "1");
    expect(*Identifier::price(whose, "acct_1/8"), Type::named_price,
           "acct_1/8");
    expect(*Identifier::tag(whose, "plan", "a=b"), Type::tag, "plan=a=b");
    expect(*Identifier::lookup_key(whose, "a/b"), Type::lookup_key, "a/b");
    expect(*Identifier::feature(whose, "acct_1/x"), Type::feature, "acct_1/x");
    expect(*Identifier::metadata(whose, "m=n"), Type::metadata, "m=n");
  }
}

void a_tag_has_at_most_140_bytes_of_key_and_value(void**) {
  std::string most(136, 'v');
  assert_true(Identifier::tag({}, "plan", most).has_value());
  assert_false(Identifier::tag({}, "plan", most + 'v').has_value());
  assert_true(Identifier::parse("metadata.plan=" + most).has_value());
  assert_false(Identifier::parse("metadata.plan=" + most + 'v').has_value());
}

void where_a_tags_key_ends_is_never_in_doubt(void**) {
  assert_true(Identifier::tag({}, "a", "b=c") ==
              Identifier::parse("metadata.a=b=c"));
  assert_false(Identifier::tag({}, "a=b", "c").has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_tag_has_at_most_140_bytes_of_key_and_value),
      cmocka_unit_test(where_a_tags_key_ends_is_never_in_doubt),
      cmocka_unit_test(operator_may_write_each_type_of_identifier),
      cmocka_unit_test(anything_else_is_no_identifier),
      cmocka_unit_test(values_are_at_most_255_bytes),
      cmocka_unit_test(what_events_say_is_what_an_operator_writes),
      cmocka_unit_test(a_price_is_known_by_whatever_id_it_has),
      cmocka_unit_test(an_operator_may_write_any_price_as_text),
      cmocka_unit_test(a_product_id_never_passes_for_another_type),
      cmocka_unit_test(its_parts_are_what_it_was_made_of),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
