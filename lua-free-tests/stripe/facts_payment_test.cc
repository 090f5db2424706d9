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
#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::Payment;
using test::Shape;

namespace {

const test::Envelope kEnvelope{"evt_1", 1000};

void a_refunded_charge_is_a_fact_of_its_payment_intent(void**) {
  Facts facts = test::facts(
      test::charge_refunded_event(kEnvelope, {.customer = "cus_1"}, true));
  assert_int_equal(facts.places.size(), 2);
  // Refunds before 2026-07-29 and disputes name no customer: they find it here.
  assert_string_equal(facts.places[0].place.c_str(), "pi_1");
  assert_string_equal(facts.places[0].claims.at(0).target.str().c_str(),
                      "p:cus_1");
  assert_int_equal(facts.places[0].claims.at(0).kind, ClaimKind::forward);
  assert_string_equal(facts.places[1].place.c_str(), "cus_1");
  const RefundFact& fact = facts.places[1].sources.at("pi_1").refunds.at(0);
  assert_string_equal(fact.id.c_str(), "ch_1");
  assert_true(fact.of_charge);
  assert_true(fact.full);
}

void a_partial_refund_is_not_full(void**) {
  Facts facts = test::facts(test::charge_refunded_event(kEnvelope, {}, false));
  assert_false(facts.places.back().sources.at("pi_1").refunds.at(0).full);
}

void a_charge_that_does_not_say_whether_all_is_refunded_says_nothing(void**) {
  std::string body = test::charge_refunded_event(kEnvelope, {}, true);
  body.replace(body.find("\"refunded\":true"), 15, "\"refunded\":\"yes\"");
  Facts facts = test::facts(body);
  assert_true(facts.places.empty());
  assert_false(facts.note.empty());
}

void a_failed_or_canceled_refund_gives_the_money_back(void**) {
  struct {
    const char *type, *status;
    bool returned;
  } cases[] = {{"refund.created", "pending", false},
               {"refund.updated", "succeeded", false},
               {"refund.updated", "requires_action", false},
               {"refund.updated", "canceled", true},
               {"charge.refund.updated", "failed", true},
               {"refund.failed", "failed", true},
               {"refund.updated", "some_future_status", false}};
  for (const auto& one : cases) {
    Facts facts = test::facts(
        test::refund_event(kEnvelope, one.type, {}, "re_1", one.status));
    assert_int_equal(facts.places.size(), 1);
    assert_string_equal(facts.places[0].place.c_str(), "pi_1");
    const RefundFact& fact = facts.places[0].sources.at("pi_1").refunds.at(0);
    assert_string_equal(fact.id.c_str(), "re_1");
    assert_false(fact.of_charge);
    assert_int_equal(fact.returned, one.returned);
  }
}

// Stripe's are never below 0; one that is counts as not said.
void an_amount_below_zero_is_none(void**) {
  Facts facts = test::facts(test::refund_event(kEnvelope, "refund.created", {},
                                               "re_1", "succeeded", -4900));
  assert_int_equal(facts.places[0].sources.at("pi_1").refunds.at(0).amount, 0);
  std::string body = test::charge_refunded_event(kEnvelope, {}, true);
  const std::string given = "\"amount_refunded\":4900";
  body.replace(body.find(given), given.size(),
               "\"amount_refunded\":-1,\"amount_captured\":-1");
  facts = test::facts(body);
  const RefundFact& fact = facts.places[0].sources.at("pi_1").refunds.at(0);
  assert_int_equal(fact.amount, 0);
  assert_int_equal(fact.charged, 4900);
}

void a_refund_that_names_its_customer_goes_there(void**) {
  Facts facts = test::facts(test::refund_event(
      kEnvelope, "refund.created", {.customer = "cus_1"}, "re_1", "pending"));
  assert_int_equal(facts.places.size(), 2);
  assert_string_equal(facts.places[1].place.c_str(), "cus_1");
  assert_string_equal(facts.places[1].sources.at("pi_1").place.c_str(),
                      "cus_1");
}

void disputes_keep_their_status(void**) {
  for (const char* type : {"created", "updated", "closed", "funds_withdrawn",
                           "funds_reinstated"}) {
    Facts facts = test::facts(
        test::dispute_event(kEnvelope, type, {}, "du_1", "needs_response"));
    assert_string_equal(facts.places.at(0).place.c_str(), "pi_1");
    const DisputeFact& fact = facts.places[0].sources.at("pi_1").disputes.at(0);
    assert_string_equal(fact.id.c_str(), "du_1");
    assert_string_equal(fact.status.c_str(), "needs_response");
  }
}

void the_charge_stands_in_where_there_is_no_payment_intent(void**) {
  Payment old{.intent = ""};
  Facts facts = test::facts(
      test::dispute_event(kEnvelope, "created", old, "du_1", "lost"));
  assert_string_equal(facts.places.at(0).place.c_str(), "ch_1");
  assert_int_equal(facts.places[0].sources.count("ch_1"), 1);

  old.customer = "cus_1";
  facts = test::facts(test::charge_refunded_event(kEnvelope, old, true));
  assert_string_equal(facts.places.at(0).place.c_str(), "ch_1");
  assert_string_equal(facts.places[0].claims.at(0).target.str().c_str(),
                      "p:cus_1");
}

void an_expanded_charge_names_payment_intent_and_customer(void**) {
  std::string body =
      test::dispute_event(kEnvelope, "created", {.intent = ""}, "du_1", "lost");
  body.replace(body.find("\"ch_1\""), 6,
               R"({"id":"ch_1","payment_intent":"pi_7","customer":"cus_7"})");
  Facts facts = test::facts(body);
  assert_string_equal(facts.places.at(0).place.c_str(), "pi_7");
  assert_string_equal(facts.places.at(1).place.c_str(), "cus_7");
}

void without_payment_id_or_status_nothing_is_said(void**) {
  for (std::string body :
       {test::refund_event(kEnvelope, "refund.created",
                           {.intent = "", .charge = ""}, "re_1", "pending"),
        test::refund_event(kEnvelope, "refund.created", {}, "re_1", ""),
        test::refund_event(kEnvelope, "refund.created", {}, "", "pending"),
        test::dispute_event(kEnvelope, "created", {.intent = "", .charge = ""},
                            "du_1", "lost"),
        test::dispute_event(kEnvelope, "created", {}, "", "lost"),
        test::dispute_event(kEnvelope, "created", {}, "du_1", "")}) {
    Facts facts = test::facts(body);
    assert_true(facts.places.empty());
    assert_false(facts.note.empty());
  }
}

void payment_events_without_meaning_for_access_are_ignored(void**) {
  for (const char* name :
       {"payment_intent.succeeded.invoice", "payment_intent.payment_failed",
        "payment_intent.canceled"}) {
    Facts facts = test::facts_of_fixture(std::string("2026-07-29.dahlia/") +
                                         name + ".json");
    assert_true(facts.places.empty());
  }
}

std::string succeeded(const std::string& changes) {
  return R"({"id":"evt_1","object":"event","created":1000,"livemode":true,)"
         R"("type":"payment_intent.succeeded","data":{"object":{"id":"pi_1",)"
         R"("status":"succeeded",)" +
         changes + "}}}";
}

void a_payment_with_metadata_of_its_own_is_a_purchase(void**) {
  Facts facts = test::facts(
      succeeded(R"("customer":"cus_1","capture_method":"automatic_async",)"
                R"("receipt_email":"A@b.c",)"
                R"("metadata":{"userId":"42","plan":"pro"})"));
  assert_int_equal(facts.places.size(), 2);
  assert_string_equal(facts.places[0].place.c_str(), "pi_1");
  assert_string_equal(facts.places[0].claims.at(0).target.str().c_str(),
                      "p:cus_1");
  assert_string_equal(facts.places[1].place.c_str(), "cus_1");
  assert_string_equal(facts.places[1].claims.at(0).target.str().c_str(),
                      "u:42");
  assert_string_equal(facts.email.c_str(), "a@b.c");
  const SessionFact& fact = facts.places[1].sources.at("pi_1").sessions.at(0);
  assert_true(fact.paid);
  assert_string_equal(fact.payment_intent.c_str(), "pi_1");
  assert_string_equal(test::joined(fact.identifiers).c_str(),
                      "metadata.plan=pro");

  facts =
      test::facts(succeeded(R"("customer":null,"metadata":{"plan":"pro"})"));
  assert_int_equal(facts.places.size(), 1);
  assert_string_equal(facts.places[0].place.c_str(), "pi_1");
}

void a_payment_that_names_nothing_is_none(void**) {
  for (const char* changes :
       {R"("metadata":{})", R"("metadata":{"userId":"42"})",
        R"("metadata":{"plan":"pro"},"invoice":"in_1")"}) {
    Facts facts = test::facts(succeeded(changes));
    assert_true(facts.places.empty());
    assert_false(facts.note.empty());
  }
  std::string body = succeeded(R"("metadata":{"plan":"pro"})");
  body.replace(body.find("\"succeeded\""), 11, "\"requires_capture\"");
  assert_true(test::facts(body).places.empty());
}

void a_payment_captured_by_hand_is_kept(void**) {
  Facts facts =
      test::facts(succeeded(R"("capture_method":"manual","metadata":{})"));
  assert_true(facts.places.back().sources.at("pi_1").sessions.at(0).paid);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_payment_with_metadata_of_its_own_is_a_purchase),
      cmocka_unit_test(a_payment_that_names_nothing_is_none),
      cmocka_unit_test(a_payment_captured_by_hand_is_kept),
      cmocka_unit_test(a_refunded_charge_is_a_fact_of_its_payment_intent),
      cmocka_unit_test(a_partial_refund_is_not_full),
      cmocka_unit_test(
          a_charge_that_does_not_say_whether_all_is_refunded_says_nothing),
      cmocka_unit_test(a_failed_or_canceled_refund_gives_the_money_back),
      cmocka_unit_test(an_amount_below_zero_is_none),
      cmocka_unit_test(a_refund_that_names_its_customer_goes_there),
      cmocka_unit_test(disputes_keep_their_status),
      cmocka_unit_test(the_charge_stands_in_where_there_is_no_payment_intent),
      cmocka_unit_test(an_expanded_charge_names_payment_intent_and_customer),
      cmocka_unit_test(without_payment_id_or_status_nothing_is_said),
      cmocka_unit_test(payment_events_without_meaning_for_access_are_ignored),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
