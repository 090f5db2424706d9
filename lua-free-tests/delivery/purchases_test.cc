// From Stripe's events, in any order, to what a user has: purchases whose parts
// come apart, and what opens nothing. The oracle is docs/stripe.md.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/delivery/delivery.h"

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <string>
#include <vector>

#include "core/delivery/options.h"
#include "core/delivery/outcome.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"
#include "lua-free-tests/support/told.h"

using namespace entitle;
using test::at;
using test::Item;
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
    made.add("noted", *Identifier::parse("metadata.note=x"));
    return made;
  }();
  return map;
}

DeliveryResult tell(MemoryRedis& redis, const std::string& body) {
  return test::tell(redis, grants(), body);
}

// What ann has, "course pro".
std::string has(MemoryRedis& redis) {
  DeliveryResult result =
      tell(redis, test::customer_event({"evt_look", kSaid, Shape::basil},
                                       "updated", "cus_1", "ann"));
  std::string text;
  for (const std::string& name : result.unlocks) {
    if (!text.empty()) text += ' ';
    text += name;
  }
  return text;
}

std::string members(const MemoryRedis& redis, const std::string& list) {
  const MemoryRedis::Value* value = redis.find("entitle:live:" + list);
  if (value == nullptr) return {};
  std::string text;
  for (const auto& [member, score] :
       std::get<MemoryRedis::SortedSet>(*value).scores) {
    text += text.empty() ? "" : "\n";
    text += member;
  }
  return text;
}

std::string with(std::string text, const std::string& from,
                 const std::string& to) {
  std::size_t at = text.find(from);
  if (at == std::string::npos) fail_msg("no %s", from.c_str());
  return text.replace(at, from.size(), to);
}

// Each order of `told` ends in `expected`.
void assert_always(const Told& told, const char* expected) {
  test::in_any_order(told, [&](const Told& events) {
    MemoryRedis redis;
    for (const std::string& body : events) tell(redis, body);
    assert_string_equal(has(redis).c_str(), expected);
    assert_string_equal(members(redis, "parked").c_str(), "");
  });
}

std::string paid(Shape shape, const test::Invoice& invoice) {
  return test::invoice_event(at("paid", 0, shape), "paid", invoice);
}

test::Invoice one_off() {
  return {.subscription = "",
          .besides = {item("course", 0)},
          .payment_intent = "pi_1"};
}

// Exactly the events that docs/stripe.md says to select.
void a_dispute_of_a_one_off_invoice_finds_it(void**) {
  for (Shape shape : kShapes) {
    Told told = {
        test::customer_event(at("ann", 0, shape), "created", "cus_1", "ann"),
        paid(shape, one_off())};
    if (shape == Shape::basil) {
      told.push_back(
          test::invoice_payment_event(at("link", 1, shape), "in_1", "pi_1"));
    }
    assert_always(told, "course");
    std::string dispute = test::dispute_event(at("lost", 2, shape), "created",
                                              {}, "du_1", "needs_response");
    told.push_back(dispute);
    assert_always(told, "");
    told.push_back(
        test::dispute_event(at("won", 3, shape), "closed", {}, "du_1", "won"));
    assert_always(told, "course");
  }
}

test::Invoice first_invoice() {
  return {.items = {item("pro", test::kNow + 20 * kDay)},
          .besides = {item("course", 0)},
          .payment_intent = "pi_1"};
}

void what_a_first_invoice_sells_besides_has_its_own_refund(void**) {
  for (Shape shape : kShapes) {
    Told told = {
        test::session_event(
            at("session", 0, shape), "completed",
            {.mode = "subscription", .subscription = "sub_1", .user = "ann"}),
        paid(shape, first_invoice())};
    assert_always(told, "course pro");
    if (shape == Shape::basil) {
      told.push_back(
          test::invoice_payment_event(at("link", 1, shape), "in_1", "pi_1"));
    }
    told.push_back(test::charge_refunded_event(at("back", 2, shape),
                                               {.customer = "cus_1"}, true));
    assert_always(told, "pro");
  }
}

std::string link(Shape shape, const char* payment, int amount) {
  return test::invoice_payment_event(
      at(std::string("link_") + payment, 1, shape), "in_1", payment, amount);
}

std::string gives_back(Shape shape, const test::Payment& payment,
                       bool all = true) {
  return test::charge_refunded_event(
      at((all ? "back_" : "part_") + payment.intent, all ? 3 : 2, shape),
      payment, all);
}

test::Payment part(int n, int amount) {
  const std::string number = std::to_string(n);
  return {.intent = "pi_" + number,
          .charge = "ch_" + number,
          .customer = "cus_1",
          .amount = amount};
}

// Of a course for 100, as many payments as `amounts`. Before basil the invoice
// names one of them itself.
Told paid_in_parts(Shape shape, const std::vector<int>& amounts) {
  test::Invoice invoice = one_off();
  invoice.amount_paid = 10000;
  Told told = {
      test::customer_event(at("ann", 0, shape), "created", "cus_1", "ann"),
      paid(shape, invoice)};
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const std::string payment = "pi_" + std::to_string(i + 1);
    told.push_back(link(shape, payment.c_str(), amounts[i]));
  }
  return told;
}

// Half of the money is not all of it.
void an_invoice_that_two_payments_paid_is_given_back_by_both(void**) {
  for (Shape shape : kShapes) {
    const Told two = paid_in_parts(shape, {5000, 5000});
    for (int n : {1, 2}) {
      Told told = two;
      told.push_back(gives_back(shape, part(n, 5000)));
      assert_always(told, "course");
      told.push_back(gives_back(shape, part(3 - n, 5000), false));
      assert_always(told, "course");
      told.back() = gives_back(shape, part(3 - n, 5000));
      assert_always(told, "");
      // Of either, some of it comes back.
      told.push_back(test::refund_event(at("failed", 4, shape), "refund.failed",
                                        part(n, 5000), "re_1", "failed", 5000));
      assert_always(told, "course");
    }
  }
}

void a_dispute_of_one_of_two_payments_suspends(void**) {
  for (Shape shape : kShapes) {
    Told told = paid_in_parts(shape, {5000, 5000});
    told.push_back(test::dispute_event(at("lost", 2, shape), "created",
                                       part(2, 5000), "du_1",
                                       "needs_response"));
    assert_always(told, "");
  }
}

// One payment may pay several invoices, and more than is due.
void what_a_payment_paid_of_an_invoice_is_what_comes_back_of_it(void**) {
  for (Shape shape : kShapes) {
    Told told = paid_in_parts(shape, {4000, 6000});
    told.push_back(gives_back(shape, part(1, 12000)));
    assert_always(told, "course");
    told.back() = gives_back(shape, part(2, 6000));
    assert_always(told, "course");

    told = paid_in_parts(shape, {10000, 500});
    told.push_back(gives_back(shape, part(1, 10000)));
    assert_always(told, "");
  }
}

// The invoice names the payment that Stripe had made for all of it, and that
// nobody used.
void a_payment_that_never_was_keeps_nothing(void**) {
  for (Shape shape : kShapes) {
    Told told = paid_in_parts(shape, {});
    for (int n : {2, 3}) {
      const std::string payment = "pi_" + std::to_string(n);
      told.push_back(link(shape, payment.c_str(), 5000));
      told.push_back(gives_back(shape, part(n, 5000)));
    }
    assert_always(told, "");
    told.pop_back();
    assert_always(told, "course");
  }
}

// Nothing says what the parts come to (as a version before wrote it).
void without_amounts_every_payment_is_to_come_back(void**) {
  for (Shape shape : kShapes) {
    Told told = {
        test::customer_event(at("ann", 0, shape), "created", "cus_1", "ann"),
        paid(shape, one_off()), link(shape, "pi_1", 0), link(shape, "pi_2", 0)};
    told.push_back(gives_back(shape, part(1, 5000)));
    assert_always(told, "course");
    told.push_back(gives_back(shape, part(2, 5000)));
    assert_always(told, "");
  }
}

// Each is known, however many there are, and when the last comes back.
void an_invoice_may_be_paid_in_many_parts(void**) {
  for (Shape shape : kShapes) {
    Told told = paid_in_parts(shape, std::vector<int>(10, 1000));
    told.push_back(
        test::invoice_event(at("again", 0, shape), "payment_succeeded", [] {
          test::Invoice invoice = one_off();
          invoice.amount_paid = 10000;
          return invoice;
        }()));
    for (int n = 1; n < 10; ++n) {
      told.push_back(gives_back(shape, part(n, 1000)));
    }
    assert_always(told, "course");
    told.push_back(gives_back(shape, part(10, 1000)));
    assert_always(told, "");
  }
}

// What nobody grants is told, though the plan opens.
void a_fee_that_opens_nothing_is_told(void**) {
  for (Shape shape : kShapes) {
    MemoryRedis redis;
    tell(redis,
         test::customer_event(at("ann", 0, shape), "created", "cus_1", "ann"));
    test::Invoice invoice = first_invoice();
    invoice.besides = {item("fee", 0)};
    DeliveryResult result = tell(redis, paid(shape, invoice));
    assert_true(result.outcome == Outcome::unmatched);
    assert_true(test::joined(result.unmatched).find("price_fee") !=
                std::string::npos);
    assert_true(test::joined(result.unmatched).find("price_pro") ==
                std::string::npos);
    assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|in_1");
    assert_string_equal(has(redis).c_str(), "pro");
  }
}

// Each renewal has one, and the customer is known.
void an_invoice_payment_of_a_subscription_is_its_customers(void**) {
  for (Shape shape : kShapes) {
    MemoryRedis redis;
    tell(redis,
         test::customer_event(at("ann", 0, shape), "created", "cus_1", "ann"));
    test::Invoice invoice = first_invoice();
    invoice.besides.clear();
    tell(redis, paid(shape, invoice));
    DeliveryResult result =
        tell(redis,
             test::invoice_payment_event(at("link", 1, shape), "in_1", "pi_1"));
    assert_true(result.outcome == Outcome::applied);
    assert_string_equal(result.user->str().c_str(), "ann");
    assert_string_equal(members(redis, "parked").c_str(), "");
    assert_string_equal(members(redis, "unmatched").c_str(), "");
  }
}

// --- captured by hand
// --------------------------------------------------------

std::string captured(const std::string& customer) {
  std::string body =
      test::payment_event(at("capture", 5, Shape::basil),
                          {.intent = "pi_1", .customer = customer}, "", "");
  const std::string id = "\"id\":\"pi_1\"";
  return body.replace(body.find(id), id.size(),
                      id + ",\"capture_method\":\"manual\"");
}

std::string completed(const std::string& customer, const std::string& names) {
  return test::session_event(at("session", 0, Shape::basil), "completed",
                             {.customer = customer,
                              .payment_status = "unpaid",
                              .payment_intent = "pi_1",
                              .user = "ann",
                              .names = names});
}

void a_capture_without_its_session_is_told_until_that_comes(void**) {
  MemoryRedis redis;
  tell(redis, test::customer_event(at("ann", 0, Shape::basil), "created",
                                   "cus_1", "ann"));
  for (int times = 0; times < 2; ++times) {
    DeliveryResult result = tell(redis, captured("cus_1"));
    assert_true(result.outcome ==
                (times ? Outcome::duplicate : Outcome::unmatched));
    assert_true(result.opens_nothing);
    assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|pi_1");
  }
  DeliveryResult result = tell(redis, completed("cus_1", "pro"));
  assert_true(result.outcome == Outcome::applied);
  assert_string_equal(test::joined(result.after).c_str(), "metadata=pro");
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

// What the session sells opens nothing either: it is that which is told.
void a_capture_is_no_second_purchase_that_opens_nothing(void**) {
  for (bool capture_first : {true, false}) {
    MemoryRedis redis;
    tell(redis, test::customer_event(at("ann", 0, Shape::basil), "created",
                                     "cus_1", "ann"));
    if (capture_first) tell(redis, captured("cus_1"));
    tell(redis, completed("cus_1", ""));
    if (!capture_first) tell(redis, captured("cus_1"));
    assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|cs_1");
  }
}

void a_capture_of_nobodys_is_parked_until_its_session_comes(void**) {
  for (const char* customer : {"cus_1", ""}) {
    MemoryRedis redis;
    const std::string place = *customer ? customer : "pi_1";
    assert_true(tell(redis, captured(customer)).outcome == Outcome::parked);
    assert_string_equal(members(redis, "parked").c_str(), place.c_str());
    assert_string_equal(members(redis, "unmatched").c_str(),
                        ("p:" + place + "|pi_1").c_str());
    DeliveryResult result = tell(redis, completed(customer, "pro"));
    assert_true(result.outcome == Outcome::applied);
    assert_string_equal(test::joined(result.after).c_str(), "metadata=pro");
    assert_string_equal(members(redis, "parked").c_str(), "");
    assert_string_equal(members(redis, "unmatched").c_str(), "");
  }
}

void a_capture_that_was_given_back_is_nothing_to_tell(void**) {
  MemoryRedis redis;
  tell(redis, test::customer_event(at("ann", 0, Shape::basil), "created",
                                   "cus_1", "ann"));
  tell(redis, captured("cus_1"));
  tell(redis, test::charge_refunded_event(at("back", 6, Shape::basil),
                                          {.customer = "cus_1"}, true));
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

// --- disputes that name only the charge
// --------------------------------------------------------

std::string dispute(const char* event, test::Time minute, const char* status,
                    const char* charge = "ch_1") {
  return test::dispute_event(at(event, minute, Shape::basil), "updated",
                             {.intent = "", .charge = charge}, "du_1", status);
}

// The dispute says its customer by the charge, which is expanded.
std::string dispute_of_a_customer(const char* event, test::Time minute,
                                  const char* status) {
  return with(dispute(event, minute, status, "ch_9"), "\"ch_9\"",
              R"({"id":"ch_9","customer":"cus_1"})");
}

void assert_dispute_suspends(Told told, const char* name) {
  assert_always(told, name);
  told.push_back(dispute("lost", 6, "needs_response"));
  assert_always(told, "");
  told.push_back(dispute("won", 7, "won"));
  assert_always(told, name);
}

void a_dispute_of_a_charge_finds_what_it_paid(void**) {
  const std::string ann = test::customer_event(at("ann", 0, Shape::basil),
                                               "created", "cus_1", "ann");
  const std::string payment = test::payment_event(
      at("paid", 0, Shape::basil), {.customer = "cus_1"}, "", "x");
  assert_dispute_suspends({ann, payment}, "noted");
  // Before 2022-11-15 a payment had a list of charges.
  assert_dispute_suspends({ann, with(payment, "\"latest_charge\":\"ch_1\"",
                                     R"("charges":{"data":[{"id":"ch_1"}]})")},
                          "noted");
  // Of a guest.
  assert_dispute_suspends(
      {test::payment_event(at("paid", 0, Shape::basil), {}, "ann", "x"), ann},
      "noted");
  assert_dispute_suspends(
      {ann, completed("cus_1", "course"), captured("cus_1")}, "course");
}

void a_dispute_of_a_charge_finds_the_invoice_that_named_it(void**) {
  const std::string ann = test::customer_event(
      at("ann", 0, Shape::before_basil), "created", "cus_1", "ann");
  const std::string said = "\"payment_intent\":\"pi_1\"";
  assert_dispute_suspends({ann, with(paid(Shape::before_basil, one_off()), said,
                                     said + ",\"charge\":\"ch_1\"")},
                          "course");
  assert_dispute_suspends({ann, with(paid(Shape::before_basil, one_off()), said,
                                     "\"charge\":\"ch_1\"")},
                          "course");
}

// Whoever the customer belongs to: what was bought for bob is taken from bob.
void a_dispute_of_a_charge_finds_whoever_has_what_it_paid(void**) {
  Told told = {test::customer_event(at("ann", 0, Shape::basil), "created",
                                    "cus_1", "ann"),
               with(completed("cus_1", "course"), "\"user_id\":\"ann\"",
                    "\"user_id\":\"bob\""),
               captured("cus_1"), dispute("lost", 6, "needs_response")};
  std::sort(told.begin(), told.end());
  do {
    MemoryRedis redis;
    for (const std::string& body : told) tell(redis, body);
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    DeliveryResult won = tell(redis, dispute("won", 7, "won"));
    assert_string_equal(won.user->str().c_str(), "bob");
    assert_true(won.before.empty());
    assert_string_equal(test::joined(won.after).c_str(), "metadata=course");
  } while (std::next_permutation(told.begin(), told.end()));
}

void a_dispute_of_a_charge_that_nobody_knows_is_told(void**) {
  MemoryRedis redis;
  tell(redis, test::customer_event(at("ann", 0, Shape::basil), "created",
                                   "cus_1", "ann"));
  const std::string lost = dispute_of_a_customer("lost", 1, "lost");
  DeliveryResult result = tell(redis, lost);
  assert_true(result.outcome == Outcome::unmatched);
  assert_true(result.unclear);
  assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|ch_9");
  assert_true(test::facts(lost).note.find("no payment intent") !=
              std::string::npos);
  tell(redis, dispute_of_a_customer("won", 2, "won"));
  assert_string_equal(members(redis, "unmatched").c_str(), "");

  const std::string refund = test::charge_refunded_event(
      at("back", 3, Shape::basil),
      {.intent = "", .charge = "ch_8", .customer = "cus_1"}, true);
  assert_true(tell(redis, refund).outcome == Outcome::unmatched);
  assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|ch_8");
}

void a_dispute_of_nobodys_charge_is_told_until_its_payment_comes(void**) {
  MemoryRedis redis;
  assert_true(tell(redis, dispute("lost", 1, "lost")).outcome ==
              Outcome::parked);
  assert_string_equal(members(redis, "parked").c_str(), "ch_1");
  assert_string_equal(members(redis, "unmatched").c_str(), "p:ch_1|ch_1");
  tell(redis, test::payment_event(at("paid", 0, Shape::basil),
                                  {.customer = "cus_1"}, "ann", "x"));
  assert_string_equal(members(redis, "parked").c_str(), "");
  assert_string_equal(members(redis, "unmatched").c_str(), "");
  assert_string_equal(has(redis).c_str(), "");
}

// What an intent is named for is no such thing, whatever it paid for.
void a_dispute_of_a_payment_is_nothing_to_tell(void**) {
  MemoryRedis redis;
  tell(redis, test::customer_event(at("ann", 0, Shape::basil), "created",
                                   "cus_1", "ann"));
  tell(redis, test::charge_refunded_event(at("back", 1, Shape::basil),
                                          {.customer = "cus_1"}, true));
  tell(redis, test::dispute_event(at("lost", 2, Shape::basil), "closed", {},
                                  "du_1", "lost"));
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

// --- words of Stripe's that nobody knows yet
// ----------------------------------

test::Subscription anns(const char* status) {
  return {.status = status,
          .items = {item("pro", test::kNow + 20 * kDay)},
          .user = "ann"};
}

test::Session anns_session() {
  return {.payment_intent = "pi_1", .user = "ann", .names = "pro"};
}

void a_status_that_is_not_known_is_told_until_one_is(void**) {
  for (Shape shape : kShapes) {
    std::string odd = test::subscription_event(at("odd", 0, shape), "created",
                                               anns("frobnicated"));
    for (const std::string& body :
         {odd, with(odd, "\"status\":\"frobnicated\"", "\"status\":null")}) {
      MemoryRedis redis;
      for (int times = 0; times < 2; ++times) {
        DeliveryResult result = tell(redis, body);
        assert_true(result.outcome ==
                    (times ? Outcome::duplicate : Outcome::unmatched));
        assert_true(result.unclear);
        assert_true(result.unmatched.empty());
        assert_true(result.unlocks.empty());
        assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|sub_1");
      }
      tell(redis, test::subscription_event(at("even", 1, shape), "updated",
                                           anns("active")));
      assert_string_equal(members(redis, "unmatched").c_str(), "");
      assert_string_equal(has(redis).c_str(), "pro");
    }
    Facts facts = test::facts(odd);
    assert_true(facts.warns);
    assert_true(facts.note.find("\"frobnicated\" is not known") !=
                std::string::npos);
  }
}

void an_order_that_cannot_be_known_is_told_with_the_event(void**) {
  MemoryRedis redis;
  auto update = [&](const char* id, test::Time minute, const char* status) {
    return tell(redis, test::subscription_event(at(id, minute, Shape::basil),
                                                "updated", anns(status)))
        .ambiguous;
  };
  assert_false(update("1", 0, "active"));
  assert_true(update("2", 0, "past_due"));
  assert_true(update("2", 0, "past_due"));
  assert_false(update("3", 1, "active"));
}

void a_known_status_without_access_is_nothing_to_tell(void**) {
  for (const char* status : {"unpaid", "paused", "incomplete", "canceled"}) {
    MemoryRedis redis;
    std::string body = test::subscription_event(at("1", 0, Shape::basil),
                                                "created", anns(status));
    assert_true(tell(redis, body).outcome == Outcome::applied);
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    assert_false(test::facts(body).warns);
  }
}

void a_session_of_an_unknown_mode_or_status_is_told(void**) {
  for (auto [member, word] :
       {std::pair("payment_status", "\"settled\""),
        std::pair("payment_status", "null"), std::pair("mode", "\"lease\""),
        std::pair("mode", "null")}) {
    bool is_mode = std::string(member) == "mode";
    std::string said = "\"" + std::string(member) +
                       "\":" + (is_mode ? "\"payment\"" : "\"paid\"");
    std::string odd = with(test::session_event(at("odd", 0, Shape::basil),
                                               "completed", anns_session()),
                           said, "\"" + std::string(member) + "\":" + word);
    MemoryRedis redis;
    assert_true(tell(redis, odd).outcome == Outcome::unmatched);
    assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|cs_1");
    assert_string_equal(has(redis).c_str(), "");
    assert_true(test::facts(odd).warns);

    MemoryRedis nobodys;
    tell(nobodys, with(odd, "\"user_id\":\"ann\",", ""));
    assert_string_equal(members(nobodys, "parked").c_str(), "cus_1");

    if (is_mode) continue;
    tell(redis, test::session_event(at("even", 1, Shape::basil),
                                    "async_payment_succeeded", anns_session()));
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    assert_string_equal(has(redis).c_str(), "pro");
  }
}

// Who never had one is found by what a checkout said.
void an_email_that_was_taken_away_finds_nobody(void**) {
  for (bool had : {true, false}) {
    MemoryRedis redis;
    test::Session session = anns_session();
    session.user = "";
    session.email = "ann@example.com";
    tell(redis,
         test::session_event(at("1", 0, Shape::basil), "completed", session));
    std::string gone =
        test::customer_event(at("2", 1, Shape::basil), "updated", "cus_1", "");
    const std::string data = "\"data\":{";
    gone = with(gone, data,
                data + "\"previous_attributes\":" +
                    (had ? "{\"email\":\"ann@example.com\"}," : "{},"));
    tell(redis, gone);
    bool found = redis.find("entitle:live:email:ann@example.com") != nullptr;
    assert_int_equal(found, !had);
  }
}

void of_items_of_which_there_are_none_it_is_said(void**) {
  std::string body = with(test::subscription_event(at("1", 0, Shape::basil),
                                                   "created", anns("active")),
                          "\"object\":\"subscription_item\"",
                          "\"object\":\"subscription_item\",\"quantity\":0");
  MemoryRedis redis;
  assert_true(tell(redis, body).outcome == Outcome::unmatched);
  assert_true(test::facts(body).note.find("quantity 0") != std::string::npos);
}

void a_subscription_without_a_customer_is_warned_of(void**) {
  std::string body = with(test::subscription_event(at("1", 0, Shape::basil),
                                                   "created", anns("active")),
                          "\"customer\":\"cus_1\"", "\"customer\":null");
  assert_true(test::facts(body).warns);
}

// --- what an operator has waved through
// ---------------------------------------

std::string nobodys_subscription(const char* id, std::vector<Item> items) {
  test::Subscription bought{
      .id = id, .status = "active", .items = std::move(items)};
  return test::subscription_event(at(id, 0, Shape::basil), "created", bought);
}

Item ware(const char* name) { return item(name, test::kNow + 20 * kDay); }

void what_is_ignored_is_not_parked(void**) {
  const std::string bought = nobodys_subscription("sub_1", {ware("other")});
  for (const char* name : {"cus_1", "sub_1", "price_other", "prod_other"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    DeliveryResult result = tell(redis, bought);
    assert_true(result.outcome == Outcome::ignored);
    assert_true(result.waved_through);
    assert_string_equal(members(redis, "parked").c_str(), "");
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    // It is kept all the same.
    const MemoryRedis::Value* place = redis.find("entitle:live:{p:cus_1}");
    assert_non_null(place);

    // Another purchase of the same customer is not ignored with it.
    if (std::string(name) == "cus_1") continue;
    result = tell(redis, nobodys_subscription("sub_2", {ware("course")}));
    assert_true(result.outcome == Outcome::parked);
    assert_string_equal(members(redis, "parked").c_str(), "cus_1");
  }
}

void what_a_grant_knows_is_ignored_as_a_whole_only(void**) {
  for (const char* name : {"price_pro", "prod_pro", "price_other"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    DeliveryResult result = tell(
        redis, nobodys_subscription("sub_1", {ware("pro"), ware("other")}));
    assert_true(result.outcome == Outcome::parked);
    assert_string_equal(members(redis, "parked").c_str(), "cus_1");
    assert_string_equal(has(redis).c_str(), "pro");
  }
  for (const char* name : {"sub_1", "cus_1"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    DeliveryResult result =
        tell(redis, nobodys_subscription("sub_1", {ware("pro")}));
    assert_true(result.outcome == Outcome::ignored);
  }
}

// The names of one thing are as good as each other; each thing needs one.
void ignoring_one_thing_hides_none_that_is_sold_with_it(void**) {
  struct Case {
    Command ignored;  // after SADD and the key
    bool all;
  };
  const Case cases[] = {
      {{"price_fee"}, false},
      {{"prod_fee"}, false},
      {{"price_fee", "price_new"}, true},
      {{"prod_fee", "prod_new"}, true},
      {{"metadata.shop=books"}, false},
      {{"lookup_key=fee_key"}, false},
  };
  for (const Case& one : cases) {
    for (bool one_off : {false, true}) {
      for (bool named : {false, true}) {
        MemoryRedis redis;
        Command command = {"SADD", "entitle:live:ignored"};
        command.insert(command.end(), one.ignored.begin(), one.ignored.end());
        redis.run(command);
        if (named) has(redis);
        std::string bought =
            one_off
                ? paid(Shape::basil,
                       {.subscription = "",
                        .besides = {item("fee", 0), item("new", 0)}})
                : with(
                      nobodys_subscription("sub_1", {ware("fee"), ware("new")}),
                      "\"metadata\":{", "\"metadata\":{\"shop\":\"books\"");
        DeliveryResult result = tell(redis, bought);
        Outcome seen = named ? (one.all ? Outcome::applied : Outcome::unmatched)
                             : (one.all ? Outcome::ignored : Outcome::parked);
        if (result.outcome != seen) {
          fail_msg("%s: one-off %d, named %d: %s", one.ignored.back().c_str(),
                   one_off, named,
                   std::string(entitle::name(result.outcome)).c_str());
        }
        assert_int_equal(result.waved_through, one.all);
        assert_int_equal(members(redis, "unmatched").empty(), one.all);
        assert_int_equal(members(redis, "parked").empty(), one.all || named);
      }
    }
  }
}

// An item by its price, the other by its product: Stripe says which is which.
void items_may_be_ignored_by_different_kinds_of_names(void**) {
  MemoryRedis redis;
  redis.run({"SADD", "entitle:live:ignored", "price_fee", "prod_new"});
  DeliveryResult result =
      tell(redis, nobodys_subscription("sub_1", {ware("fee"), ware("new")}));
  assert_true(result.outcome == Outcome::ignored);
}

// What a fee is known by: its price, its product, its lookup key.
void one_name_of_a_fee_is_enough(void**) {
  for (const char* name : {"price_fee", "prod_fee"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    has(redis);
    DeliveryResult result = tell(
        redis,
        paid(Shape::basil, {.subscription = "", .besides = {item("fee", 0)}}));
    assert_true(result.outcome == Outcome::applied);
    assert_true(result.waved_through);
    assert_string_equal(members(redis, "unmatched").c_str(), "");
  }
}

// Of a session without line items its link says what was bought, and where
// there is none, any word of its metadata.
void a_session_is_ignored_by_its_link_or_else_its_metadata(void**) {
  test::Session by_link = anns_session();
  by_link.names = "";
  by_link.payment_link = "plink_9";
  const std::string tags = "\"metadata\":{\"order\":\"17\",\"shop\":\"books\",";
  const std::string linked =
      with(test::session_event(at("1", 0, Shape::basil), "completed", by_link),
           "\"metadata\":{", tags);
  by_link.payment_link = "";
  const std::string unlinked =
      with(test::session_event(at("1", 0, Shape::basil), "completed", by_link),
           "\"metadata\":{", tags);
  struct Case {
    const char* ignored;
    const std::string& told;
    bool waved;
  };
  for (const Case& one : {Case{"plink_9", linked, true},
                          Case{"metadata.shop=books", linked, false},
                          Case{"metadata.shop=books", unlinked, true},
                          Case{"metadata.shop=cakes", unlinked, false}}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", one.ignored});
    DeliveryResult result = tell(redis, one.told);
    assert_int_equal(result.waved_through, one.waved);
    assert_true(result.outcome ==
                (one.waved ? Outcome::applied : Outcome::unmatched));
  }
}

// --- what is paid and comes to nothing
// ----------------------------------------

std::string subscribes(const char* user) {
  return test::session_event(
      at("session", 0, Shape::basil), "completed",
      {.mode = "subscription", .subscription = "sub_1", .user = user});
}

std::string runs(const char* user) {
  test::Subscription subscription = anns("active");
  subscription.user = user;
  return test::subscription_event(at("runs", 1, Shape::basil), "created",
                                  subscription);
}

// As Stripe sends them: the session first.
void a_subscription_nobody_heard_of_is_listed_until_it_comes(void**) {
  for (const std::string& settles :
       {runs("ann"), paid(Shape::basil, first_invoice())}) {
    MemoryRedis redis;
    for (int times = 0; times < 2; ++times) {
      DeliveryResult result = tell(redis, subscribes("ann"));
      assert_true(result.outcome ==
                  (times ? Outcome::duplicate : Outcome::applied));
      assert_false(result.opens_nothing);
      assert_true(result.unmatched.empty());
      assert_string_equal(std::string(result.awaits).c_str(),
                          "customer.subscription.created");
      assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|cs_1");
    }
    DeliveryResult result = tell(redis, settles);
    assert_true(result.outcome == Outcome::applied);
    assert_true(result.awaits.empty());
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    assert_string_equal(members(redis, "parked").c_str(), "");
  }
}

void a_subscription_that_came_first_is_nothing_to_tell(void**) {
  MemoryRedis redis;
  tell(redis, runs("ann"));
  DeliveryResult result = tell(redis, subscribes("ann"));
  assert_true(result.outcome == Outcome::applied);
  assert_true(result.awaits.empty());
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

void what_is_awaited_may_be_ignored(void**) {
  for (const char* name : {"cs_1", "cus_1", "metadata.order=17"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    DeliveryResult result =
        tell(redis, with(subscribes("ann"), "\"metadata\":{",
                         "\"metadata\":{\"order\":\"17\","));
    assert_true(result.outcome == Outcome::applied);
    assert_true(result.waved_through);
    assert_true(result.awaits.empty());
    assert_string_equal(members(redis, "unmatched").c_str(), "");
  }
}

void what_is_awaited_may_be_nobodys(void**) {
  MemoryRedis redis;
  assert_true(tell(redis, subscribes("")).outcome == Outcome::parked);
  assert_string_equal(members(redis, "unmatched").c_str(), "p:cus_1|cs_1");
  assert_true(tell(redis, runs("")).outcome == Outcome::parked);
  // In a Cluster it leaves when the list is looked through.
  const char* left = test::options().one_server ? "" : "p:cus_1|cs_1";
  assert_string_equal(members(redis, "unmatched").c_str(), left);
  has(redis);
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

// The session says who pays, the subscription whose it is.
void a_subscription_of_somebody_else_is_not_awaited(void**) {
  MemoryRedis redis;
  tell(redis, runs("org"));
  DeliveryResult result = tell(redis, subscribes("ann"));
  assert_true(result.outcome == Outcome::applied);
  assert_true(result.awaits.empty());
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

void of_a_provisional_grant_it_is_listed_all_the_same(void**) {
  MemoryRedis redis;
  Event event = test::event(test::session_event(at("session", 0, Shape::basil),
                                                "completed",
                                                {.mode = "subscription",
                                                 .subscription = "sub_1",
                                                 .user = "ann",
                                                 .names = "pro"}));
  DeliveryOptions options = test::options();
  options.grants = &grants();
  options.policy.provisional = std::chrono::hours(24 * 365);
  DeliveryResult result = test::run(
      redis, entitle::deliver(facts_of(event, test::default_options()),
                              event.head, options));
  assert_true(result.outcome == Outcome::applied);
  assert_int_equal(result.unlocks.size(), 1);
  assert_string_equal(std::string(result.awaits).c_str(),
                      "customer.subscription.created");
  assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|cs_1");
}

test::Invoice late_invoice() {
  return {.items = {item("pro", test::kNow + 20 * kDay)}};
}

void who_pays_late_is_told_of_until_it_runs_again(void**) {
  for (const char* status : {"unpaid", "past_due", "paused"}) {
    for (Shape shape : kShapes) {
      MemoryRedis redis;
      tell(redis, test::subscription_event(at("0", -2 * 1440, shape), "created",
                                           anns("active")));
      tell(redis, test::subscription_event(at("1", -1440, shape), "updated",
                                           anns(status)));
      assert_string_equal(members(redis, "unmatched").c_str(), "");
      DeliveryResult result = tell(redis, paid(shape, late_invoice()));
      assert_true(result.outcome == Outcome::unmatched);
      assert_string_equal(std::string(result.awaits).c_str(),
                          "customer.subscription.updated");
      assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|sub_1");
      result = tell(redis, test::subscription_event(at("2", 0, shape),
                                                    "updated", anns("active")));
      assert_true(result.outcome == Outcome::applied);
      assert_string_equal(members(redis, "unmatched").c_str(), "");
    }
  }
}

void what_was_paid_before_is_no_word_on_what_is_unpaid(void**) {
  MemoryRedis redis;
  tell(redis, paid(Shape::basil, late_invoice()));
  DeliveryResult result =
      tell(redis, test::subscription_event(at("2", 5, Shape::basil), "updated",
                                           anns("unpaid")));
  assert_true(result.outcome == Outcome::applied);
  assert_string_equal(members(redis, "unmatched").c_str(), "");
}

void what_resumes_by_itself_stays_listed(void**) {
  MemoryRedis redis;
  test::Subscription paused = anns("active");
  paused.items = {ware("other")};
  paused.pause_collection = "void";
  paused.resumes_at = test::kNow + 5 * kDay;
  Event event = test::event(
      test::subscription_event(at("1", 0, Shape::basil), "created", paused));
  DeliveryOptions options = test::options();
  options.grants = &grants();
  options.policy.pause_revokes = true;
  test::run(redis, entitle::deliver(facts_of(event, test::default_options()),
                                    event.head, options));
  assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|sub_1");
}

void what_comes_back_and_opens_nothing_is_told(void**) {
  test::Session session = anns_session();
  session.names = "";
  session.payment_link = "plink_9";
  const std::string bought =
      test::session_event(at("s", 0, Shape::basil), "completed", session);
  const auto dispute = [](const char* event, test::Time minute,
                          const char* type, const char* status) {
    return test::dispute_event(at(event, minute, Shape::basil), type, {},
                               "du_1", status);
  };
  const std::pair<std::string, std::string> cases[] = {
      {test::charge_refunded_event(at("c", 1, Shape::basil), {}, true),
       test::refund_event(at("f", 2, Shape::basil), "refund.failed", {}, "re_1",
                          "failed")},
      {dispute("d", 1, "created", "needs_response"),
       dispute("w", 2, "closed", "won")}};
  for (const auto& [gone, back] : cases) {
    MemoryRedis redis;
    tell(redis, bought);
    tell(redis, gone);
    assert_string_equal(members(redis, "unmatched").c_str(), "");
    DeliveryResult result = tell(redis, back);
    assert_true(result.outcome == Outcome::unmatched);
    assert_string_equal(test::joined(result.unmatched).c_str(), "plink_9");
    assert_string_equal(members(redis, "unmatched").c_str(), "u:ann|cs_1");
  }
}

void what_is_bought_with_a_granted_thing_is_said(void**) {
  auto buys = [](const char* a, const char* b,
                 const GrantMap& known = grants()) {
    MemoryRedis redis;
    has(redis);
    return test::tell(
        redis, known,
        paid(Shape::basil,
             {.subscription = "", .besides = {item(a, 0), item(b, 0)}}));
  };
  DeliveryResult result = buys("course", "misspelt");
  assert_true(result.outcome == Outcome::applied);
  assert_string_equal(test::joined(result.beside).c_str(), "price_misspelt");
  assert_true(buys("course", "pro").beside.empty());
  assert_true(buys("other", "misspelt").beside.empty());
  // By product; and by either, where which has which is not told.
  GrantMap by_product, by_either;
  by_product.add("course", *Identifier::parse("prod_course"));
  by_either.add("course", *Identifier::parse("prod_course"));
  by_either.add("pro", *Identifier::parse("price_pro"));
  result = buys("course", "misspelt", by_product);
  assert_string_equal(test::joined(result.beside).c_str(), "prod_misspelt");
  assert_true(buys("course", "pro", by_either).beside.empty());
}

// --- refunds that fail
// --------------------------------------------------------

std::string refund(const char* event, test::Time minute, const char* id,
                   const char* status, int amount) {
  return test::refund_event(
      at(event, minute, Shape::basil),
      std::string(status) == "succeeded" ? "refund.created" : "refund.updated",
      {}, id, status, amount);
}

std::string charge(const char* event, test::Time minute, bool full) {
  return test::charge_refunded_event(at(event, minute, Shape::basil), {}, full);
}

void a_payment_that_says_no_known_status_is_warned_of(void**) {
  for (const std::string& body :
       {refund("1", 0, "re_1", "frobnicated", 1),
        test::dispute_event(at("2", 0, Shape::basil), "created", {}, "du_1",
                            "frobnicated")}) {
    Facts facts = test::facts(body);
    assert_true(facts.warns);
    assert_true(facts.note.find("\"frobnicated\" is not known") !=
                std::string::npos);
    assert_false(facts.places.empty());
    facts = test::facts(
        with(body, "\"status\":\"frobnicated\"", "\"status\":null"));
    assert_true(facts.warns);
    assert_true(facts.places.empty());
  }
  for (const char* status :
       {"pending", "requires_action", "succeeded", "failed", "canceled"}) {
    assert_false(test::facts(refund("1", 0, "re_1", status, 1)).warns);
  }
  for (const char* status : {"warning_needs_response", "under_review", "won",
                             "lost", "prevented", "warning_closed"}) {
    assert_false(test::facts(test::dispute_event(at("2", 0, Shape::basil),
                                                 "closed", {}, "du_1", status))
                     .warns);
  }
}

void a_failed_refund_takes_back_no_other(void**) {
  const std::string session = test::session_event(
      at("session", 0, Shape::basil), "completed", anns_session());
  const Told twice = {session,
                      charge("1", 1, true),
                      refund("2", 2, "re_1", "succeeded", 4900),
                      charge("4", 4, true),
                      refund("5", 5, "re_2", "succeeded", 4900),
                      refund("6", 6, "re_1", "failed", 4900)};
  assert_always(twice, "");
  // When it failed is known, what gave all back the second time is not.
  Told dated = twice;
  dated[4] = refund("3", 3, "re_1", "failed", 4900);
  assert_always(dated, "");

  assert_always(
      {session, charge("1", 1, true), refund("2", 2, "re_1", "succeeded", 4900),
       refund("3", 3, "re_1", "failed", 4900)},
      "pro");
  assert_always(
      {session, charge("1", 1, false),
       refund("2", 2, "re_1", "succeeded", 1000), charge("3", 3, true),
       refund("4", 4, "re_2", "succeeded", 3900),
       refund("5", 5, "re_2", "failed", 3900)},
      "pro");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_dispute_of_a_one_off_invoice_finds_it),
      cmocka_unit_test(what_a_first_invoice_sells_besides_has_its_own_refund),
      cmocka_unit_test(an_invoice_that_two_payments_paid_is_given_back_by_both),
      cmocka_unit_test(a_dispute_of_one_of_two_payments_suspends),
      cmocka_unit_test(
          what_a_payment_paid_of_an_invoice_is_what_comes_back_of_it),
      cmocka_unit_test(a_payment_that_never_was_keeps_nothing),
      cmocka_unit_test(without_amounts_every_payment_is_to_come_back),
      cmocka_unit_test(an_invoice_may_be_paid_in_many_parts),
      cmocka_unit_test(a_fee_that_opens_nothing_is_told),
      cmocka_unit_test(an_invoice_payment_of_a_subscription_is_its_customers),
      cmocka_unit_test(a_capture_without_its_session_is_told_until_that_comes),
      cmocka_unit_test(a_capture_is_no_second_purchase_that_opens_nothing),
      cmocka_unit_test(a_capture_of_nobodys_is_parked_until_its_session_comes),
      cmocka_unit_test(a_capture_that_was_given_back_is_nothing_to_tell),
      cmocka_unit_test(a_dispute_of_a_charge_finds_what_it_paid),
      cmocka_unit_test(a_dispute_of_a_charge_finds_the_invoice_that_named_it),
      cmocka_unit_test(a_dispute_of_a_charge_finds_whoever_has_what_it_paid),
      cmocka_unit_test(a_dispute_of_a_charge_that_nobody_knows_is_told),
      cmocka_unit_test(
          a_dispute_of_nobodys_charge_is_told_until_its_payment_comes),
      cmocka_unit_test(a_dispute_of_a_payment_is_nothing_to_tell),
      cmocka_unit_test(a_status_that_is_not_known_is_told_until_one_is),
      cmocka_unit_test(an_order_that_cannot_be_known_is_told_with_the_event),
      cmocka_unit_test(a_known_status_without_access_is_nothing_to_tell),
      cmocka_unit_test(a_session_of_an_unknown_mode_or_status_is_told),
      cmocka_unit_test(an_email_that_was_taken_away_finds_nobody),
      cmocka_unit_test(of_items_of_which_there_are_none_it_is_said),
      cmocka_unit_test(a_subscription_without_a_customer_is_warned_of),
      cmocka_unit_test(what_is_ignored_is_not_parked),
      cmocka_unit_test(what_a_grant_knows_is_ignored_as_a_whole_only),
      cmocka_unit_test(ignoring_one_thing_hides_none_that_is_sold_with_it),
      cmocka_unit_test(items_may_be_ignored_by_different_kinds_of_names),
      cmocka_unit_test(one_name_of_a_fee_is_enough),
      cmocka_unit_test(a_session_is_ignored_by_its_link_or_else_its_metadata),
      cmocka_unit_test(a_subscription_nobody_heard_of_is_listed_until_it_comes),
      cmocka_unit_test(what_is_awaited_may_be_ignored),
      cmocka_unit_test(what_is_awaited_may_be_nobodys),
      cmocka_unit_test(a_subscription_that_came_first_is_nothing_to_tell),
      cmocka_unit_test(a_subscription_of_somebody_else_is_not_awaited),
      cmocka_unit_test(of_a_provisional_grant_it_is_listed_all_the_same),
      cmocka_unit_test(who_pays_late_is_told_of_until_it_runs_again),
      cmocka_unit_test(what_was_paid_before_is_no_word_on_what_is_unpaid),
      cmocka_unit_test(what_resumes_by_itself_stays_listed),
      cmocka_unit_test(what_comes_back_and_opens_nothing_is_told),
      cmocka_unit_test(what_is_bought_with_a_granted_thing_is_said),
      cmocka_unit_test(a_payment_that_says_no_known_status_is_warned_of),
      cmocka_unit_test(a_failed_refund_takes_back_no_other),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
