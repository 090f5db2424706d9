#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/stripe/facts.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/base/types.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::Invoice;
using test::item;
using test::Shape;

namespace {

constexpr Shape kShapes[] = {Shape::before_basil, Shape::basil};

Invoice monthly() {
  return {.items = {item("pro", 5000)},
          .issued = 900,
          .user = "42",
          .email = "Ann@Example.com"};
}

Facts paid(const Invoice& invoice, Shape shape,
           std::string_view type = "paid") {
  return test::facts(
      test::invoice_event({"evt_1", 1000, shape}, type, invoice));
}

void a_paid_invoice_says_until_when(void**) {
  for (Shape shape : kShapes) {
    for (const char* type : {"paid", "payment_succeeded"}) {
      Facts facts = paid(monthly(), shape, type);
      const PlaceFacts& own = facts.places.back();
      assert_string_equal(own.place.c_str(), "cus_1");
      const PaidInvoice& invoice = *own.sources.at("sub_1").invoice;
      assert_int_equal(to_unix(invoice.period_end), 5000);
      assert_int_equal(to_unix(invoice.issued), 900);
      assert_int_equal(to_unix(invoice.created), 1000);
      assert_string_equal(invoice.invoice.c_str(), "in_1");
      // lookup keys are not on lines since 2025-03-31.basil.
      assert_string_equal(test::joined(invoice.identifiers).c_str(),
                          shape == Shape::basil
                              ? "price_pro prod_pro"
                              : "lookup_key=pro_key price_pro prod_pro");
      assert_int_equal(own.claims.at(0).kind, ClaimKind::subscription_metadata);
      assert_string_equal(own.claims.at(0).target.c_str(), "u:42");
      assert_string_equal(facts.email.c_str(), "ann@example.com");
    }
  }
}

// Its metadata is the subscription's when it was finalized, though it is paid a
// month later.
void an_invoice_says_whose_it_is_as_of_its_finalization(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    for (test::Time finalized : {0, 950}) {
      invoice.finalized = finalized;
      const PlaceFacts own = paid(invoice, shape).places.back();
      assert_int_equal(own.claims.size(), 1);
      assert_string_equal(own.claims[0].source.c_str(), "sub_1");
      assert_int_equal(to_unix(own.claims[0].created), finalized ? 950 : 900);
      assert_int_equal(to_unix(own.email->said), finalized ? 950 : 900);
    }
  }
}

void prorations_name_no_plan(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.prorations = {item("old", 9000)};
    Facts facts = paid(invoice, shape);
    const PaidInvoice& said = *facts.places.back().sources.at("sub_1").invoice;
    assert_int_equal(to_unix(said.period_end), 5000);
    assert_int_equal(test::joined(said.identifiers).find("old"),
                     std::string::npos);

    invoice.items.clear();
    facts = paid(invoice, shape);
    assert_true(facts.places.back().sources.empty());
    assert_false(facts.note.empty());
  }
}

void the_longest_line_counts(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.items.push_back(item("yearly", 90000));
    assert_int_equal(to_unix(paid(invoice, shape)
                                 .places.back()
                                 .sources.at("sub_1")
                                 .invoice->period_end),
                     90000);
  }
}

void invoices_for_no_subscription_say_nothing(void**) {
  for (const char* version : {"2024-06-20", "2026-07-29.dahlia"}) {
    Facts facts = test::facts_of_fixture(std::string(version) +
                                         "/invoice.paid.no_subscription.json");
    assert_true(facts.places.empty());
    assert_false(facts.note.empty());
  }
}

void mixed_shapes_are_read_from_both_places(void**) {
  Facts facts = test::facts_of_fixture("edge/mixed_shape_invoice.json");
  assert_int_equal(
      facts.places.back().sources.count("sub_1Fx00000000000000000001"), 1);
}

void other_invoice_events_change_nothing(void**) {
  for (const char* type :
       {"payment_failed", "payment_action_required", "finalized", "voided",
        "marked_uncollectible", "updated", "created", "upcoming", "overdue"}) {
    assert_true(paid(monthly(), Shape::basil, type).places.empty());
  }
}

void an_invoice_that_cannot_be_finalized_is_noted(void**) {
  Facts facts = paid(monthly(), Shape::basil, "finalization_failed");
  assert_true(facts.places.empty());
  assert_int_not_equal(facts.note.find("finalized"), std::string::npos);
  assert_string_equal(facts.customer.c_str(), "cus_1");
}

void a_subscription_named_only_by_its_lines_is_found(void**) {
  std::string body = test::invoice_event({"evt_1", 1000}, "paid", monthly());
  std::string details = "\"subscription\":\"sub_1\"}}";
  body.replace(body.rfind(details), details.size(), "\"x\":1}}");
  assert_int_equal(test::facts(body).places.back().sources.count("sub_1"), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_paid_invoice_says_until_when),
      cmocka_unit_test(an_invoice_says_whose_it_is_as_of_its_finalization),
      cmocka_unit_test(prorations_name_no_plan),
      cmocka_unit_test(the_longest_line_counts),
      cmocka_unit_test(invoices_for_no_subscription_say_nothing),
      cmocka_unit_test(mixed_shapes_are_read_from_both_places),
      cmocka_unit_test(other_invoice_events_change_nothing),
      cmocka_unit_test(an_invoice_that_cannot_be_finalized_is_noted),
      cmocka_unit_test(a_subscription_named_only_by_its_lines_is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
