#include "core/stripe/asking.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/source/source.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using Next = StripeQuestion::Next;
using test::item;

namespace {

const test::Envelope kEnvelope{"evt_1", 1000};

std::optional<StripeQuestion> question(std::string_view body,
                                       bool opens_nothing = true) {
  Event event = test::event(body);
  return StripeQuestion::about(event, facts_of(event, test::default_options()),
                               opens_nothing);
}

std::string path(std::string_view body, bool opens_nothing = true) {
  std::optional<StripeQuestion> asked = question(body, opens_nothing);
  return asked ? asked->path() : "(nothing)";
}

std::string payment() {
  return test::session_event(kEnvelope, "completed", {.user = "42"});
}

std::string cut_subscription() {
  test::Subscription sub{.has_more = true};
  for (int n = 0; n < 12; ++n) {
    sub.items.push_back(item("i" + std::to_string(n), 5000));
  }
  return test::subscription_event(kEnvelope, "updated", sub);
}

std::string cut_invoice() {
  std::string body = test::invoice_event(
      kEnvelope, "paid", {.items = {item("pro", 5000)}, .issued = 900});
  std::size_t at = body.find("\"has_more\":false");
  return body.replace(at, 16, "\"has_more\":true");
}

std::string price(const std::string& p) {
  return R"({"id":"li_)" + p + R"(","price":{"id":"price_)" + p +
         R"(","product":"prod_)" + p + R"("}})";
}

std::string page(const std::string& members, bool more) {
  return R"({"object":"list","data":[)" + members + R"(],"has_more":)" +
         (more ? "true" : "false") + "}";
}

void a_payment_that_opens_nothing_is_asked_about(void**) {
  assert_string_equal(path(payment()).c_str(),
                      "/v1/checkout/sessions/cs_1/line_items?limit=100");
  assert_string_equal(path(payment(), false).c_str(), "(nothing)");
  for (const char* mode : {"subscription", "setup"}) {
    assert_string_equal(
        path(test::session_event(kEnvelope, "completed", {.mode = mode}))
            .c_str(),
        "(nothing)");
  }
  assert_string_equal(path(test::session_event(kEnvelope, "completed",
                                               {.payment_status = "unpaid"}))
                          .c_str(),
                      "(nothing)");
}

void lists_that_go_on_are_asked_for(void**) {
  for (bool opens_nothing : {false, true}) {
    assert_string_equal(path(cut_subscription(), opens_nothing).c_str(),
                        "/v1/subscription_items?subscription=sub_1&limit=100");
    assert_string_equal(path(cut_invoice(), opens_nothing).c_str(),
                        "/v1/invoices/in_1/lines?limit=100");
    assert_string_equal(
        path(test::summary_event(kEnvelope, "cus_1", {"a"}, true),
             opens_nothing)
            .c_str(),
        "/v1/entitlements/active_entitlements?customer=cus_1&limit=100");
  }
}

void what_says_all_is_not_asked_about(void**) {
  for (const std::string& body :
       {test::subscription_event(kEnvelope, "updated",
                                 {.items = {item("pro", 5000)}}),
        test::invoice_event(kEnvelope, "paid", {.items = {item("pro", 5000)}}),
        test::summary_event(kEnvelope, "cus_1", {"a"}, false),
        test::charge_refunded_event(kEnvelope, {}, true),
        test::customer_event(kEnvelope, "created", "cus_1", "42")}) {
    assert_string_equal(path(body).c_str(), "(nothing)");
  }
}

void ids_are_escaped(void**) {
  assert_string_equal(
      path(test::summary_event(kEnvelope, "a+b&c=1?#", {"a"}, true)).c_str(),
      "/v1/entitlements/active_entitlements?customer=a%2Bb%26c%3D1%3F%23"
      "&limit=100");
}

void pages_follow_one_another(void**) {
  StripeQuestion asked = *question(payment());
  assert_int_equal(asked.take(200, page(price("1") + "," + price("2"), true)),
                   Next::ask);
  assert_string_equal(
      asked.path().c_str(),
      "/v1/checkout/sessions/cs_1/line_items?limit=100&starting_after=li_2");
  assert_int_equal(asked.take(200, page(price("3"), false)), Next::use);
  assert_true(asked.list().complete);
  assert_int_equal(asked.list().pages.size(), 2);
}

void three_pages_are_all(void**) {
  StripeQuestion asked = *question(payment());
  assert_int_equal(asked.take(200, page(price("1"), true)), Next::ask);
  assert_int_equal(asked.take(200, page(price("2"), true)), Next::ask);
  assert_int_equal(asked.take(200, page(price("3"), true)), Next::use);
  assert_false(asked.list().complete);
}

void what_passes_is_tried_again(void**) {
  for (unsigned status : {0u, 408u, 409u, 429u, 500u, 502u, 503u, 504u}) {
    StripeQuestion asked = *question(payment());
    assert_int_equal(asked.take(status, "{}"), Next::retry);
    assert_false(asked.why().empty());
  }
  StripeQuestion limited = *question(payment());
  assert_int_equal(
      limited.take(400, R"({"error":{"code":"rate_limit","message":"slow"}})"),
      Next::retry);
  std::string whole = page(price("1"), false);
  for (const std::string& body :
       {std::string(), whole.substr(0, whole.size() - 1), std::string("<html>"),
        std::string("[]"), std::string("{}"),
        std::string(R"({"data":{},"has_more":false})"),
        std::string(R"({"data":[]})"),
        std::string(R"({"data":[],"has_more":true})"),
        std::string(R"({"data":[{}],"has_more":true})")}) {
    StripeQuestion asked = *question(payment());
    assert_int_equal(asked.take(200, body), Next::retry);
  }
  // In the middle, too; and a page that comes again is no end.
  StripeQuestion asked = *question(payment());
  assert_int_equal(asked.take(200, page(price("1"), true)), Next::ask);
  assert_int_equal(asked.take(200, page(price("1"), true)), Next::retry);
}

void a_refusal_names_the_permission(void**) {
  StripeQuestion asked = *question(payment());
  assert_int_equal(
      asked.take(403,
                 R"({"error":{"message":"The provided key 'rk_live_***abc' )"
                 R"(does not have the required permissions. Having the )"
                 R"('rak_checkout_session_read' permission would help.")"),
      Next::refuse);
  assert_string_equal(asked.why().c_str(),
                      "Stripe refused the line items with status 403: the key "
                      "lacks the permission rak_checkout_session_read");
  // Where Stripe does not name it we do.
  StripeQuestion lines = *question(cut_invoice());
  assert_int_equal(lines.take(403, ""), Next::refuse);
  assert_string_equal(lines.why().c_str(),
                      "Stripe refused the invoice lines with status 403: the "
                      "key lacks the permission rak_invoice_read");
  for (unsigned status : {301u, 400u, 401u, 402u, 404u}) {
    StripeQuestion other = *question(payment());
    assert_int_equal(other.take(status, "rk_live_abc"), Next::refuse);
    assert_int_equal(other.why().find("rk_"), std::string::npos);
  }
}

Facts told(const std::string& body, const std::vector<std::string>& pages) {
  Event event = test::event(body);
  FactsOptions options = test::default_options();
  StripeQuestion asked =
      *StripeQuestion::about(event, facts_of(event, options), true);
  for (const std::string& page : pages) asked.take(200, page);
  options.asked = &asked.list();
  return facts_of(event, options);
}

void what_stripe_told_is_what_was_bought(void**) {
  Facts facts =
      told(payment(), {page(price("1"), true), page(price("2"), false)});
  assert_string_equal(test::joined(facts.identifiers).c_str(),
                      "price_1 price_2 prod_1 prod_2");
  assert_true(
      facts.places.back().sources.at("cs_1").sessions.at(0).identifiers ==
      facts.identifiers);
}

void a_whole_list_replaces_the_events_own(void**) {
  Facts facts = told(cut_subscription(), {page(price("1"), false)});
  const Snapshot& all = facts.places.back().sources.at("sub_1").snapshots.at(0);
  assert_false(all.state.more_items);
  assert_string_equal(test::joined(all.state.identifiers).c_str(),
                      "price_1 prod_1");

  facts = told(
      cut_subscription(),
      {page(price("1"), true), page(price("2"), true), page(price("3"), true)});
  const Snapshot& some =
      facts.places.back().sources.at("sub_1").snapshots.at(0);
  assert_true(some.state.more_items);
  std::string known_by = test::joined(some.state.identifiers);
  for (const char* one : {"price_1", "price_3", "price_i0", "price_i9"}) {
    assert_int_not_equal(known_by.find(one), std::string::npos);
  }
}

void features_beyond_ten_are_all_there(void**) {
  std::string members;
  for (int n = 0; n < 100; ++n) {
    members += (n ? "," : "") + std::string(R"({"id":"ent_)") +
               std::to_string(n) + R"(","lookup_key":"f)" + std::to_string(n) +
               R"("})";
  }
  Facts facts = told(test::summary_event(kEnvelope, "cus_1", {"f1"}, true),
                     {page(members, false)});
  const SummaryFact& fact =
      facts.places.back().sources.at("cus_1").summaries.at(0);
  assert_false(fact.has_more);
  assert_int_equal(fact.identifiers.size(), 100);
}

void lines_beyond_ten_name_the_plan(void**) {
  std::string line =
      R"({"id":"il_1","amount":900,"period":{"end":7000},"parent":{"type":)"
      R"("subscription_item_details","subscription_item_details":)"
      R"({"proration":false,"subscription":"sub_1"}},"pricing":)"
      R"({"price_details":{"price":"price_9","product":"prod_9"}}})";
  Facts facts = told(cut_invoice(), {page(line, false)});
  const PaidInvoice& invoice =
      facts.places.back().sources.at("sub_1").invoices.front();
  assert_string_equal(test::joined(invoice.identifiers).c_str(),
                      "price_9 prod_9");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_payment_that_opens_nothing_is_asked_about),
      cmocka_unit_test(lists_that_go_on_are_asked_for),
      cmocka_unit_test(what_says_all_is_not_asked_about),
      cmocka_unit_test(ids_are_escaped),
      cmocka_unit_test(pages_follow_one_another),
      cmocka_unit_test(three_pages_are_all),
      cmocka_unit_test(what_passes_is_tried_again),
      cmocka_unit_test(a_refusal_names_the_permission),
      cmocka_unit_test(what_stripe_told_is_what_was_bought),
      cmocka_unit_test(a_whole_list_replaces_the_events_own),
      cmocka_unit_test(features_beyond_ten_are_all_there),
      cmocka_unit_test(lines_beyond_ten_name_the_plan),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
