// An invoice that is not the customer's owner's, paid for by one customer of
// several owners: its payment's refunds and disputes are of whoever has what it
// bought. The oracle is docs/stripe.md ("Several organisations, and gifts",
// "One-time purchases"); every order of the same events ends alike.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/delivery/delivery.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/record/record.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/stripe_json.h"
#include "lua-free-tests/support/told.h"

using namespace entitle;
using test::at;
using test::item;
using test::kDay;
using test::kSaid;
using test::kShapes;
using test::MemoryRedis;
using test::Shape;
using test::Told;

namespace {

const GrantMap& grants() {
  static const GrantMap map = [] {
    GrantMap made;
    made.add("pro", *Identifier::parse("price_pro"));
    made.add("course", *Identifier::parse("price_course"));
    made.add("tagged", *Identifier::parse("metadata.note=tagged"));
    return made;
  }();
  return map;
}

DeliveryResult tell(MemoryRedis& redis, const std::string& body) {
  return test::tell(redis, grants(), body);
}

// "course pro"; also what is open to nobody is nobody's.
std::string open_to(MemoryRedis& redis, const std::string& user) {
  auto record =
      Record::decode(redis.run({"HGETALL", "entitle:live:{u:" + user + "}"}));
  assert_true(record.has_value());
  std::string text;
  for (const Entitlement& one : entitlements(project(record->sources), grants(),
                                             {}, unix_time(test::kNow))) {
    text += text.empty() ? "" : " ";
    text += one.name;
  }
  return text;
}

void assert_ends_as(const Told& told, const char* anns, const char* bobs) {
  MemoryRedis redis;
  for (int times = 0; times < 2; ++times) {
    for (const std::string& body : told) tell(redis, body);
    assert_string_equal(open_to(redis, "ann").c_str(), anns);
    assert_string_equal(open_to(redis, "bob").c_str(), bobs);
    assert_true(redis.find("entitle:live:parked") == nullptr);
  }
}

// Each order of `told`, and all of it once more, ends in this.
void assert_always(const Told& told, const char* anns, const char* bobs) {
  test::in_any_order(
      told, [&](const Told& events) { assert_ends_as(events, anns, bobs); });
}

// cus_1 is bob's, who has a plan.
Told bobs_customer(Shape shape) {
  return {
      test::customer_event(at("bob", 0, shape), "created", "cus_1", "bob"),
      test::subscription_event(
          at("plan", 0, shape), "created",
          {.id = "sub_bob", .items = {item("pro", test::kNow + 20 * kDay)}})};
}

// The refund names the customer, a dispute does not.
const test::Payment kPayment{.customer = "cus_1"};

std::string refund(Shape shape) {
  return test::charge_refunded_event(at("back", 3, shape), kPayment, true);
}

std::string dispute(Shape shape, const char* type, const char* status) {
  return test::dispute_event(
      at(type, std::string(type) == "closed" ? 5 : 4, shape), type, {}, "du_1",
      status);
}

void add_link(Told& told, Shape shape) {
  if (shape == Shape::before_basil) return;  // the invoice says it
  told.push_back(
      test::invoice_payment_event(at("link", 1, shape), "in_1", "pi_1"));
}

// `told` opens the course to ann, and what becomes of its payment shuts it.
void assert_its_payment_is_hers(Told told, Shape shape, const char* with,
                                const char* without, const char* bobs) {
  add_link(told, shape);
  assert_always(told, with, bobs);
  told.push_back(refund(shape));
  assert_always(told, without, bobs);
  told.back() = dispute(shape, "created", "needs_response");
  assert_always(told, without, bobs);
  told.push_back(dispute(shape, "closed", "won"));
  assert_always(told, with, bobs);
}

void an_invoice_that_names_another_owner_takes_its_payment_along(void**) {
  for (Shape shape : kShapes) {
    Told told = bobs_customer(shape);
    told.push_back(test::invoice_event(at("paid", 0, shape), "paid",
                                       {.subscription = "",
                                        .besides = {item("course", 0)},
                                        .payment_intent = "pi_1",
                                        .user = "ann"}));
    assert_its_payment_is_hers(told, shape, "course", "", "pro");
  }
}

// Nothing but the session of the subscription names ann.
void what_a_subscription_sells_besides_is_its_owners(void**) {
  for (Shape shape : kShapes) {
    Told told = {
        bobs_customer(shape).front(),
        test::session_event(at("session", 0, shape), "completed",
                            {.mode = "subscription",
                             .subscription = "sub_1",
                             .client_reference_id = "ann"}),
        test::invoice_event(at("paid", 0, shape), "paid",
                            {.items = {item("pro", test::kNow + 20 * kDay)},
                             .besides = {item("course", 0)},
                             .payment_intent = "pi_1"})};
    assert_its_payment_is_hers(told, shape, "course pro", "pro", "");
  }
}

// The payment's own metadata names ann: what it paid is hers, too.
void an_invoice_is_of_whom_its_payment_names(void**) {
  for (Shape shape : kShapes) {
    Told told = bobs_customer(shape);
    told.push_back(test::invoice_event(at("paid", 0, shape), "paid",
                                       {.subscription = "",
                                        .besides = {item("course", 0)},
                                        .payment_intent = "pi_1"}));
    told.push_back(test::payment_event(at("payment", 0, shape), kPayment, "ann",
                                       "tagged"));
    add_link(told, shape);
    assert_always(told, "course tagged", "pro");
    told.push_back(refund(shape));
    assert_always(told, "", "pro");
  }
}

// What is said of either is said of both, and last counts.
void of_payment_and_invoice_the_newest_word_counts(void**) {
  for (Shape shape : kShapes) {
    for (test::Time finalized : {kSaid - kDay, kSaid + kDay}) {
      Told told = bobs_customer(shape);
      told.push_back(test::invoice_event(at("paid", 0, shape), "paid",
                                         {.subscription = "",
                                          .besides = {item("course", 0)},
                                          .payment_intent = "pi_1",
                                          .user = "bob",
                                          .finalized = finalized}));
      told.push_back(test::payment_event(at("payment", 0, shape), kPayment,
                                         "ann", "tagged"));
      add_link(told, shape);
      bool anns = finalized < kSaid;
      if (anns) {
        assert_always(told, "course tagged", "pro");
      } else {
        assert_always(told, "", "course pro tagged");
      }
    }
  }
}

// Without the event that says it nobody knows what a payment paid: that is told
// where money goes back, until it is known.
void money_back_of_an_unknown_payment_is_told(void**) {
  const Shape shape = Shape::basil;
  for (bool disputed : {false, true}) {
    MemoryRedis redis;
    for (const std::string& body : bobs_customer(shape)) tell(redis, body);
    tell(redis, test::invoice_event(at("paid", 0, shape), "paid",
                                    {.subscription = "",
                                     .besides = {item("course", 0)},
                                     .user = "ann"}));
    std::string back =
        disputed ? dispute(shape, "created", "needs_response") : refund(shape);
    assert_string_equal(tell(redis, back).unknown_payment.c_str(), "pi_1");
    assert_string_equal(open_to(redis, "ann").c_str(), "course");

    DeliveryResult link =
        tell(redis,
             test::invoice_payment_event(at("link", 1, shape), "in_1", "pi_1"));
    assert_string_equal(link.unknown_payment.c_str(), "");
    assert_string_equal(open_to(redis, "ann").c_str(), "");
    assert_string_equal(tell(redis, back).unknown_payment.c_str(), "");
    assert_string_equal(
        tell(redis, dispute(shape, "closed", "lost")).unknown_payment.c_str(),
        "");
  }
  MemoryRedis redis;
  for (const std::string& body : bobs_customer(shape)) tell(redis, body);
  for (const std::string& body :
       {test::charge_refunded_event(at("part", 3, shape), kPayment, false),
        dispute(shape, "created", "warning_needs_response")}) {
    assert_string_equal(tell(redis, body).unknown_payment.c_str(), "");
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(
          an_invoice_that_names_another_owner_takes_its_payment_along),
      cmocka_unit_test(what_a_subscription_sells_besides_is_its_owners),
      cmocka_unit_test(an_invoice_is_of_whom_its_payment_names),
      cmocka_unit_test(of_payment_and_invoice_the_newest_word_counts),
      cmocka_unit_test(money_back_of_an_unknown_payment_is_told),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
