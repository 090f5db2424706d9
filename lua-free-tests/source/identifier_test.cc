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

using entitle::Identifier;

void operator_may_write_each_type_of_identifier(void**) {
  for (std::string text :
       {"price_1Abc", "prod_x", "plink_1_2", "lookup_key=pro monthly",
        "feature=pro", "metadata=a=b", "acct_1A2b/price_1",
        "acct_1/feature=a/b", "feature=acct_1/x"}) {
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
                           "acct_a_b/price_1",
                           "xacct_1/price_1",
                           "price_1/price_2",
                           "acct_1"}) {
    if (Identifier::parse(text)) fail_msg("accepted: %s", text.c_str());
  }
  assert_false(Identifier::parse(std::string("feature=a\0b", 11)).has_value());
}

void values_are_at_most_255_bytes(void**) {
  assert_true(Identifier::feature("", std::string(255, 'f')).has_value());
  assert_false(Identifier::feature("", std::string(256, 'f')).has_value());
  assert_true(Identifier::from_stripe_id("", "price_" + std::string(249, 'p'))
                  .has_value());
  assert_false(Identifier::from_stripe_id("", "price_" + std::string(250, 'p'))
                   .has_value());
}

void what_events_say_is_what_an_operator_writes(void**) {
  assert_true(Identifier::from_stripe_id("", "prod_1") ==
              Identifier::parse("prod_1"));
  assert_true(Identifier::from_stripe_id("acct_9", "prod_1") ==
              Identifier::parse("acct_9/prod_1"));
  assert_true(Identifier::lookup_key("acct_9", "k") ==
              Identifier::parse("acct_9/lookup_key=k"));
  assert_true(Identifier::feature("", "f") == Identifier::parse("feature=f"));
  assert_true(Identifier::metadata("", "m") == Identifier::parse("metadata=m"));
}

// Products may be given ids of one's own choosing.
void a_product_id_never_passes_for_another_type(void**) {
  assert_false(Identifier::from_stripe_id("", "feature=pro").has_value());
  assert_false(Identifier::from_stripe_id("", "acct_1/prod_1").has_value());
  assert_false(Identifier::from_stripe_id("", "prod_1/x").has_value());
  assert_false(Identifier::from_stripe_id("", "gold").has_value());
  assert_false(Identifier::feature("prod_1", "pro").has_value());
  assert_false(Identifier::feature("acct_1/feature=x", "pro").has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(operator_may_write_each_type_of_identifier),
      cmocka_unit_test(anything_else_is_no_identifier),
      cmocka_unit_test(values_are_at_most_255_bytes),
      cmocka_unit_test(what_events_say_is_what_an_operator_writes),
      cmocka_unit_test(a_product_id_never_passes_for_another_type),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
