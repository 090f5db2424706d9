#include <algorithm>
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
      const PaidInvoice& invoice = own.sources.at("sub_1").invoices.at(0);
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
      assert_string_equal(own.claims.at(0).target.str().c_str(), "u:42");
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
    const PaidInvoice& said =
        facts.places.back().sources.at("sub_1").invoices.at(0);
    assert_int_equal(to_unix(said.period_end), 5000);
    assert_int_equal(test::joined(said.identifiers).find("old"),
                     std::string::npos);

    invoice.items.clear();
    facts = paid(invoice, shape);
    assert_true(facts.places.back().sources.empty());
    assert_false(facts.note.empty());
  }
}

const Source& source_of(const Facts& facts) {
  return facts.places.back().sources.at("sub_1");
}

// "price_a until 5, price_b until 7 in arrears".
std::string told(const PaidInvoice& invoice) {
  std::string text;
  for (const ItemPeriod& one : items_of(invoice)) {
    if (!text.empty()) text += ", ";
    for (const Identifier& identifier : one.identifiers) {
      if (identifier.str().starts_with("price_")) text += identifier.str();
    }
    text += " until " + std::to_string(to_unix(*one.end));
    if (one.arrears) text += " in arrears";
  }
  return text;
}

void each_line_has_its_own_end(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.items.push_back(item("yearly", 90000));
    Facts facts = paid(invoice, shape);
    const PaidInvoice& said = source_of(facts).invoices.at(0);
    assert_int_equal(to_unix(said.period_end), 90000);
    assert_string_equal(told(said).c_str(),
                        "price_pro until 5000, price_yearly until 90000");
  }
}

test::Item over(std::string p, test::Time start, test::Time end) {
  test::Item one = item(p, end);
  one.period_start = start;
  return one;
}

void a_line_in_arrears_extends_by_its_own_length(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.issued = 3000;
    invoice.items = {over("metered", 1000, 3000), over("seat", 3000, 5000)};
    Facts facts = paid(invoice, shape);
    assert_string_equal(told(source_of(facts).invoices.at(0)).c_str(),
                        "price_metered until 5000 in arrears, "
                        "price_seat until 5000");
    // Of which nobody says when it began, nothing can be added.
    invoice.items = {item("metered", 3000)};
    facts = paid(invoice, shape);
    assert_string_equal(told(source_of(facts).invoices.at(0)).c_str(),
                        "price_metered until 3000 in arrears");
  }
}

constexpr test::Time kFebruary = 1769904000, kMarch = 1772323200,
                     kApril = 1775001600;  // 2026, their first days

void a_cycle_that_does_not_show_the_plan_extends_what_there_is(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.billing_reason = "subscription_cycle";
    invoice.period_start = kFebruary;
    invoice.period_end = invoice.issued = kMarch;
    invoice.items.clear();
    invoice.prorations.assign(10, over("old", kFebruary, kMarch));
    Facts facts = paid(invoice, shape);
    assert_true(source_of(facts).invoices.empty());
    const Renewal& renewal = source_of(facts).renewals.at(0);
    assert_string_equal(renewal.invoice.c_str(), "in_1");
    assert_int_equal(to_unix(renewal.from), kMarch);
    assert_int_equal(to_unix(renewal.until), kApril);  // a month, not 28 days

    // Some of the plan is shown, and perhaps not all.
    invoice.prorations.resize(9);
    invoice.items = {over("seat", kMarch, kApril), item("base", 1)};
    invoice.has_more = true;
    facts = paid(invoice, shape);
    assert_string_equal(told(source_of(facts).invoices.at(0)).c_str(),
                        ("price_seat until " + std::to_string(kApril)).c_str());
    assert_int_equal(source_of(facts).renewals.size(), 1);

    // All of it: nothing else is paid for.
    invoice.items.pop_back();
    invoice.has_more = false;
    assert_true(source_of(paid(invoice, shape)).renewals.empty());

    // No cycle: a change of plan pays for the period that runs.
    invoice.items.clear();
    invoice.billing_reason = "subscription_update";
    assert_true(paid(invoice, shape).places.back().sources.empty());
  }
}

void only_a_paid_invoice_counts(void**) {
  for (Shape shape : kShapes) {
    for (const char* status : {"open", "draft", "void", "uncollectible"}) {
      Invoice invoice = monthly();
      invoice.status = status;
      Facts facts = paid(invoice, shape, "payment_succeeded");
      assert_true(facts.places.back().sources.empty());
      assert_string_equal(facts.note.c_str(), "the invoice is not paid");
      assert_false(facts.places.back().claims.empty());
    }
  }
}

void a_credit_without_a_charge_takes_the_rest_back(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.prorations = {over("yearly", 900, 90000)};
    Facts facts = paid(invoice, shape);
    const PaidInvoice& said = source_of(facts).invoices.at(0);
    assert_int_equal(said.returned.size(), 1);
    assert_string_equal(said.returned[0].price.c_str(), "price_yearly");
    assert_int_equal(to_unix(said.returned[0].at), 900);
    assert_int_equal(test::joined(said.identifiers).find("yearly"),
                     std::string::npos);

    // A change of plan or of quantity credits and charges.
    invoice.charges = {over("other", 900, 90000)};
    assert_true(
        source_of(paid(invoice, shape)).invoices.at(0).returned.empty());
    // What is not listed may be charged.
    invoice.charges.clear();
    invoice.has_more = true;
    assert_true(
        source_of(paid(invoice, shape)).invoices.at(0).returned.empty());
  }
}

// Who goes from the year to the month: Stripe sends the credit as an item that
// waited, too.
void a_proration_is_one_in_whichever_shape(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.waited = true;
    invoice.prorations = {over("yearly", 900, 90000)};
    Facts facts = paid(invoice, shape);
    const PaidInvoice& said = source_of(facts).invoices.at(0);
    assert_int_equal(said.returned.size(), 1);
    assert_string_equal(said.returned[0].price.c_str(), "price_yearly");
    assert_string_equal(told(said).c_str(), "price_pro until 5000");
    assert_int_equal(facts.places.back().sources.size(), 1);

    invoice.charges = {over("other", 900, 90000)};
    facts = paid(invoice, shape);
    assert_true(source_of(facts).invoices.at(0).returned.empty());
    assert_int_equal(facts.places.back().sources.size(), 1);
  }
}

std::string sorted(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

// "pi_1 of in_1"
std::string parts_of(const PlaceFacts& own) {
  std::vector<std::string> parts;
  for (const Claim& claim : own.claims) {
    if (claim.kind != ClaimKind::part_of) continue;
    parts.push_back(claim.source + " of " + std::string(claim.target.place()));
  }
  return sorted(std::move(parts));
}

// The sources that are said to be a user's.
std::string named_of(const PlaceFacts& own) {
  std::vector<std::string> named;
  for (const Claim& claim : own.claims) {
    if (claim.kind != ClaimKind::part_of) named.push_back(claim.source);
  }
  return sorted(std::move(named));
}

// A course or a set-up fee in the checkout of a subscription.
void what_an_invoice_sells_besides_is_a_purchase_of_its_own(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.besides = {item("course", 0)};
    invoice.payment_intent = "pi_1";
    Facts facts = paid(invoice, shape);
    const PlaceFacts& own = facts.places.back();
    assert_string_equal(told(source_of(facts).invoices.at(0)).c_str(),
                        "price_pro until 5000");
    const Source& bought = own.sources.at("in_1");
    assert_string_equal(bought.place.c_str(), "cus_1");
    const SessionFact& fact = bought.sessions.at(0);
    assert_true(fact.paid);
    bool old = shape == Shape::before_basil;
    assert_string_equal(test::joined(fact.identifiers).c_str(),
                        old ? "lookup_key=course_key price_course prod_course"
                            : "price_course prod_course");
    assert_string_equal(fact.payment_intent.c_str(), old ? "pi_1" : "");
    assert_string_equal(parts_of(own).c_str(),
                        old ? "in_1 of sub_1, pi_1 of in_1" : "in_1 of sub_1");
    assert_string_equal(named_of(own).c_str(),
                        old ? "in_1, pi_1, sub_1" : "in_1, sub_1");

    invoice.items.clear();  // nothing of the plan: in the middle of its period
    facts = paid(invoice, shape);
    assert_int_equal(facts.places.back().sources.size(), 1);
    assert_int_equal(facts.places.back().sources.count("in_1"), 1);
    assert_true(facts.note.empty());

    invoice.status = "open";
    assert_true(paid(invoice, shape).places.back().sources.empty());
  }
}

// Prorations for which an invoice of their own was made.
void an_invoice_of_prorations_alone_sells_nothing(void**) {
  for (Shape shape : kShapes) {
    Invoice invoice = monthly();
    invoice.items.clear();
    invoice.waited = true;
    invoice.charges = {over("other", 900, 90000)};
    assert_true(paid(invoice, shape).places.back().sources.empty());
  }
}

void an_invoice_for_no_subscription_is_a_purchase(void**) {
  for (const char* version : {"2024-06-20", "2026-07-29.dahlia"}) {
    Facts facts = test::facts_of_fixture(std::string(version) +
                                         "/invoice.paid.no_subscription.json");
    const PlaceFacts& own = facts.places.back();
    assert_string_equal(own.place.c_str(), "cus_Fx0000000001");
    const SessionFact& fact =
        own.sources.at("in_1Fx000000000000000000001").sessions.at(0);
    assert_true(fact.paid);
    assert_false(fact.subscription_mode);
    std::string known_by = test::joined(fact.identifiers);
    assert_true(known_by.find("price_1Fx000000000000000ONCE") !=
                std::string::npos);
    assert_true(known_by.find("prod_FxONCE00001") != std::string::npos);
    assert_true(facts.identifiers == fact.identifiers);
    bool named = std::string(version) == "2024-06-20";
    assert_int_equal(fact.payment_intent.empty(), !named);
    assert_int_equal(fact.charge.empty(), !named);
    assert_int_equal(facts.places.size(), named ? 4 : 2);
    if (named) {
      assert_string_equal(facts.places[2].place.c_str(), fact.charge.c_str());
    }
    const PlaceFacts& forward = facts.places[named ? 1 : 0];
    assert_string_equal(forward.place.c_str(), "in_1Fx000000000000000000001");
    assert_string_equal(forward.claims.at(0).target.str().c_str(),
                        "p:cus_Fx0000000001");
  }
}

std::string one_off(const std::string& changes) {
  return R"({"id":"evt_1","object":"event","created":1000,"livemode":true,)"
         R"("type":"invoice.paid","data":{"object":{"id":"in_1",)"
         R"("customer":"cus_1","parent":null,)" +
         changes + "}}}";
}

constexpr char kLine[] =
    R"({"amount":900,"pricing":{"price_details":{"price":"price_1",)"
    R"("product":"prod_1"}}})";

void what_a_one_off_invoice_gives_back_is_not_bought(void**) {
  std::string back = kLine;
  back.replace(back.find("900"), 3, "-50");
  back.replace(back.find("price_1"), 7, "price_0");
  back.replace(back.find("prod_1"), 6, "prod_0");
  Facts facts = test::facts(
      one_off(R"("status":"paid","metadata":{"plan":"pro","user_id":"42"},)"
              R"("lines":{"data":[)" +
              back + "," + kLine + "]}"));
  assert_string_equal(test::joined(facts.identifiers).c_str(),
                      "metadata.plan=pro price_1 prod_1");
  assert_string_equal(facts.places.back().claims.at(0).target.str().c_str(),
                      "u:42");
}

void a_one_off_invoice_counts_once_it_is_paid(void**) {
  std::string lines = std::string(R"("lines":{"data":[)") + kLine + "]},";
  assert_true(
      test::facts(one_off(lines + R"("status":"open")")).places.empty());
  assert_false(
      test::facts(one_off(lines + R"("status":"paid")")).places.empty());
}

void an_invoice_payment_links_payment_and_invoice(void**) {
  Facts facts =
      test::facts_of_fixture("2026-07-29.dahlia/invoice_payment.paid.json");
  assert_int_equal(facts.places.size(), 2);
  const PlaceFacts& payment = facts.places[0];
  assert_string_equal(payment.place.c_str(), "pi_3Fx000000000000000000001");
  assert_string_equal(payment.claims.at(0).target.str().c_str(),
                      "p:in_1Fx000000000000000000001");
  const PlaceFacts& own = facts.places[1];
  assert_string_equal(own.place.c_str(), "in_1Fx000000000000000000001");
  const SessionFact& link =
      own.sources.at("in_1Fx000000000000000000001").sessions.at(0);
  assert_false(link.paid);
  assert_int_equal(link.amount, 1500);
  assert_string_equal(link.payment_intent.c_str(),
                      "pi_3Fx000000000000000000001");

  facts = test::facts(one_off(
      R"("status":"paid","payments":{"data":[{"payment":{"type":)"
      R"("payment_intent","payment_intent":"pi_9"}}]},"lines":{"data":[)" +
      std::string(kLine) + "]}"));
  assert_string_equal(facts.places.back()
                          .sources.at("in_1")
                          .sessions.at(0)
                          .payment_intent.c_str(),
                      "pi_9");
  assert_int_equal(facts.places.size(), 3);
  assert_string_equal(facts.places[1].place.c_str(), "in_1");
  assert_string_equal(facts.places[1].claims.at(0).target.str().c_str(),
                      "p:cus_1");
}

void an_invoices_licensed_line_of_which_there_are_none_names_nothing(void**) {
  std::string body = test::invoice_event({"evt_1", 1000, Shape::before_basil},
                                         "paid", monthly());
  auto known_by = [&](const char* usage, const char* quantity) {
    std::string changed = body;
    changed.insert(
        changed.find("\"price\":{") + 9,
        "\"recurring\":{\"usage_type\":\"" + std::string(usage) + "\"},");
    changed.insert(changed.find("\"price\":{"),
                   "\"quantity\":" + std::string(quantity) + ",");
    return test::joined(test::facts(changed).identifiers);
  };
  assert_string_equal(known_by("licensed", "0").c_str(), "");
  assert_int_not_equal(known_by("licensed", "1").size(), 0);
  assert_int_not_equal(known_by("metered", "0").size(), 0);
}

// It moves no money of its own: where it gives some back, a refund says so.
void a_credit_note_says_nothing(void**) {
  for (const char* type :
       {"credit_note.created", "credit_note.updated", "credit_note.voided"}) {
    Facts facts = test::facts(
        R"({"id":"evt_1","object":"event","created":1000,"livemode":false,)"
        R"("type":")" +
        std::string(type) +
        R"(","data":{"object":{"id":"cn_1","object":"credit_note",)"
        R"("customer":"cus_1","invoice":"in_1","status":"issued",)"
        R"("amount":4900,"type":"post_payment","refund":null}}})");
    assert_true(facts.places.empty());
  }
}

// Whose it is, it may say itself; of a subscription nobody knows.
void an_invoice_without_a_customer_is_not_lost(void**) {
  std::string body = one_off(
      R"("status":"paid","metadata":{"user_id":"42"},"lines":{"data":[)" +
      std::string(kLine) + "]}");
  body.replace(body.find("\"cus_1\""), 7, "null");
  Facts facts = test::facts(body);
  assert_int_equal(facts.places.size(), 1);
  assert_string_equal(facts.places[0].place.c_str(), "in_1");
  assert_string_equal(facts.places[0].claims.at(0).target.str().c_str(),
                      "u:42");
  assert_true(facts.places[0].sources.at("in_1").sessions.at(0).paid);

  body = test::invoice_event({"evt_1", 1000}, "paid", monthly());
  body.replace(body.find("\"cus_1\""), 7, "null");
  facts = test::facts(body);
  assert_true(facts.places.empty());
  assert_true(facts.warns);
  assert_int_not_equal(facts.note.find("no customer"), std::string::npos);
}

void lookup_keys_are_missing_since_basil(void**) {
  assert_true(paid(monthly(), Shape::basil).lacks_lookup_keys);
  assert_false(paid(monthly(), Shape::before_basil).lacks_lookup_keys);
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
      cmocka_unit_test(each_line_has_its_own_end),
      cmocka_unit_test(a_line_in_arrears_extends_by_its_own_length),
      cmocka_unit_test(
          a_cycle_that_does_not_show_the_plan_extends_what_there_is),
      cmocka_unit_test(only_a_paid_invoice_counts),
      cmocka_unit_test(a_credit_without_a_charge_takes_the_rest_back),
      cmocka_unit_test(a_proration_is_one_in_whichever_shape),
      cmocka_unit_test(what_an_invoice_sells_besides_is_a_purchase_of_its_own),
      cmocka_unit_test(an_invoice_of_prorations_alone_sells_nothing),
      cmocka_unit_test(a_credit_note_says_nothing),
      cmocka_unit_test(an_invoice_without_a_customer_is_not_lost),
      cmocka_unit_test(an_invoice_for_no_subscription_is_a_purchase),
      cmocka_unit_test(what_a_one_off_invoice_gives_back_is_not_bought),
      cmocka_unit_test(a_one_off_invoice_counts_once_it_is_paid),
      cmocka_unit_test(an_invoice_payment_links_payment_and_invoice),
      cmocka_unit_test(
          an_invoices_licensed_line_of_which_there_are_none_names_nothing),
      cmocka_unit_test(lookup_keys_are_missing_since_basil),
      cmocka_unit_test(mixed_shapes_are_read_from_both_places),
      cmocka_unit_test(other_invoice_events_change_nothing),
      cmocka_unit_test(an_invoice_that_cannot_be_finalized_is_noted),
      cmocka_unit_test(a_subscription_named_only_by_its_lines_is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
