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
using By = StripeAnswer::By;
using Flaw = StripeAnswer::Flaw;
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

Next take(StripeQuestion& asked, unsigned status, std::string_view body,
          By by = By::server, Flaw flaw = Flaw::none) {
  return asked.take({status, body, by, flaw});
}

// As Stripe says it: https://docs.stripe.com/api/errors
std::string error(const std::string& message, const std::string& code = "") {
  return R"({"error":{"type":"invalid_request_error","message":")" + message +
         (code.empty() ? "" : R"(","code":")" + code) + R"("}})";
}

std::string why(unsigned status, std::string_view body, By by = By::server,
                Flaw flaw = Flaw::none) {
  Event event =
      test::event(test::session_event(kEnvelope, "completed", {.user = "42"}));
  StripeQuestion asked = *StripeQuestion::about(
      event, facts_of(event, test::default_options()), true);
  take(asked, status, body, by, flaw);
  return asked.why();
}

void assert_says(const std::string& text, const std::string& part) {
  if (text.find(part) == std::string::npos) {
    fail_msg("\"%s\" is not in \"%s\"", part.c_str(), text.c_str());
  }
}

void assert_says_not(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) {
    fail_msg("\"%s\" is in \"%s\"", part.c_str(), text.c_str());
  }
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
}

// By a delayed method, or when it is captured: no later event of a payment that
// is captured by hand names the session.
void a_completed_one_that_may_be_paid_is_asked_about(void**) {
  auto asked = [](const char* type, const char* link = "") {
    return path(
        test::session_event(kEnvelope, type,
                            {.payment_status = "unpaid", .payment_link = link}),
        *link == '\0');
  };
  assert_string_equal(asked("completed").c_str(),
                      "/v1/checkout/sessions/cs_1/line_items?limit=100");
  assert_string_equal(asked("completed", "plink_1").c_str(), "(nothing)");
  for (const char* type : {"expired", "async_payment_failed"}) {
    assert_string_equal(asked(type).c_str(), "(nothing)");
  }
  Facts facts = test::facts(test::session_event(
      kEnvelope, "completed",
      {.payment_status = "unpaid", .payment_link = "plink_1"}));
  assert_string_equal(test::joined(facts.identifiers).c_str(), "plink_1");
}

void what_ends_is_not_asked_about(void**) {
  test::Subscription sub{.has_more = true};
  sub.items.push_back(item("pro", 5000));
  auto asked = [&](const char* type, const char* status) {
    sub.status = status;
    return path(test::subscription_event(kEnvelope, type, sub));
  };
  for (const char* status :
       {"canceled", "unpaid", "paused", "incomplete_expired"}) {
    assert_string_equal(asked("updated", status).c_str(), "(nothing)");
  }
  assert_string_equal(asked("deleted", "active").c_str(), "(nothing)");
  for (const char* status :
       {"active", "trialing", "past_due", "incomplete", "of_tomorrow"}) {
    assert_string_not_equal(asked("updated", status).c_str(), "(nothing)");
  }
  sub.ended_at = 900;
  assert_string_equal(asked("updated", "active").c_str(), "(nothing)");
}

void odd_ids_go_into_no_path(void**) {
  for (const char* id : {"..", ".", "cs_1/..", "cs_%2e", "cs 1", "cs_1?a",
                         "cs-1", "cs_\xc3\xa9"}) {
    assert_string_equal(
        path(test::session_event(kEnvelope, "completed", {.id = id})).c_str(),
        "(nothing)");
  }
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
  assert_int_equal(take(asked, 200, page(price("1") + "," + price("2"), true)),
                   Next::ask);
  assert_string_equal(
      asked.path().c_str(),
      "/v1/checkout/sessions/cs_1/line_items?limit=100&starting_after=li_2");
  assert_int_equal(take(asked, 200, page(price("3"), false)), Next::use);
  assert_true(asked.list().complete);
  assert_int_equal(asked.list().pages.size(), 2);
}

void three_pages_are_all(void**) {
  StripeQuestion asked = *question(payment());
  assert_int_equal(take(asked, 200, page(price("1"), true)), Next::ask);
  assert_int_equal(take(asked, 200, page(price("2"), true)), Next::ask);
  assert_int_equal(take(asked, 200, page(price("3"), true)), Next::use);
  assert_false(asked.list().complete);
}

void what_passes_is_tried_again(void**) {
  for (unsigned status : {408u, 409u, 424u, 425u, 429u, 500u, 502u, 503u}) {
    StripeQuestion asked = *question(payment());
    assert_int_equal(take(asked, status, error("busy")), Next::retry);
    assert_says(asked.why(), "status " + std::to_string(status));
  }
  StripeQuestion limited = *question(payment());
  assert_int_equal(take(limited, 400, error("slow", "rate_limit")),
                   Next::retry);
  std::string whole = page(price("1"), false);
  for (const std::string& body :
       {std::string(), whole.substr(0, whole.size() - 1), std::string("<html>"),
        std::string("[]"), std::string("{}"),
        std::string(R"({"object":"list","data":{},"has_more":false})"),
        std::string(R"({"object":"list","data":[]})"),
        std::string(R"({"data":[],"has_more":false})"),
        std::string(R"({"object":"list","data":[],"has_more":true})"),
        std::string(R"({"object":"list","data":[{}],"has_more":true})")}) {
    StripeQuestion asked = *question(payment());
    assert_int_equal(take(asked, 200, body), Next::retry);
  }
  // In the middle, too; and a page that comes again is no end.
  StripeQuestion asked = *question(payment());
  assert_int_equal(take(asked, 200, page(price("1"), true)), Next::ask);
  assert_int_equal(take(asked, 200, page(price("1"), true)), Next::retry);
}

void only_stripe_refuses(void**) {
  for (unsigned status : {400u, 401u, 402u, 403u, 404u, 418u}) {
    StripeQuestion asked = *question(payment());
    assert_int_equal(take(asked, status, error("no")), Next::refuse);
    // Whoever else says so has not been asked.
    for (By by : {By::nginx, By::cache}) {
      StripeQuestion other = *question(payment());
      assert_int_equal(take(other, status, error("no"), by), Next::retry);
    }
    for (const char* body :
         {"", "<html>403 Forbidden</html>", "{}", "[]", R"({"error":"no"})",
          R"({"error":{"code":"x"}})"}) {
      StripeQuestion other = *question(payment());
      assert_int_equal(take(other, status, body), Next::retry);
    }
    StripeQuestion cut = *question(payment());
    assert_int_equal(
        take(cut, status, error("no"), By::server, Flaw::broke_off),
        Next::retry);
  }
  for (unsigned status : {100u, 101u, 201u, 204u, 206u, 301u, 302u, 304u}) {
    for (By by : {By::nginx, By::server}) {
      StripeQuestion asked = *question(payment());
      assert_int_equal(take(asked, status, error("no"), by), Next::retry);
      assert_says(asked.why(), std::to_string(status));
    }
  }
}

void what_a_cache_kept_is_not_taken(void**) {
  StripeQuestion asked = *question(payment());
  assert_int_equal(take(asked, 200, page(price("1"), false), By::cache),
                   Next::retry);
  assert_says(asked.why(), "proxy_cache off");
}

void anothers_items_are_not_taken(void**) {
  auto of = [](const std::string& subscription) {
    return page(R"({"id":"si_1","subscription":")" + subscription +
                    R"(","price":{"id":"price_9"}})",
                false);
  };
  StripeQuestion asked = *question(cut_subscription());
  assert_int_equal(take(asked, 200, of("sub_2")), Next::retry);
  assert_says(asked.why(), "another subscription");
  assert_int_equal(take(asked, 200, of("sub_1")), Next::use);
}

void the_log_says_what_is_wrong(void**) {
  assert_string_equal(why(0, "", By::nginx, Flaw::late).c_str(),
                      "Stripe did not answer in time");
  assert_string_equal(why(200, "", By::server, Flaw::late).c_str(),
                      "Stripe did not answer in time");
  assert_says(why(0, "", By::nginx), "could not be asked");
  assert_says(why(200, "{", By::server, Flaw::broke_off), "broke off");
  assert_says(why(200, "x", By::server, Flaw::encoded), "compressed");
  assert_says(why(200, "x", By::server, Flaw::too_long), "over 4 MiB");
  assert_int_equal(StripeQuestion::kMostBytes, 4 * 1024 * 1024);
  assert_says(why(200, "[]"), "no list");

  assert_says(why(504, "<html>", By::nginx), "proxy_read_timeout");
  assert_says(why(502, "<html>", By::nginx), "as it says above");
  for (unsigned status : {301u, 403u, 404u, 429u, 503u}) {
    std::string said = why(status, "<html>", By::nginx);
    assert_says(said, "nginx itself answered with status " +
                          std::to_string(status) + ", not Stripe");
    assert_says(said, "entitle_stripe_request");
    assert_says_not(said, "permission");
  }
  // A page for browsers, of nginx's or of whoever is in between.
  assert_says(why(200, "<html>", By::nginx), "nginx itself answered");
  std::string firewall = why(403, "\n<html>\x1b[31mAttention", By::server);
  assert_says(firewall, "status 403 is not Stripe");
  assert_says(firewall, "begins \"<html>?[31mAttention\"");
  assert_says_not(firewall, "permission");
  assert_says(why(404, "", By::server), "is empty");
  assert_true(why(403, std::string(100000, 'x')).size() < 300);
}

void a_refusal_names_the_permission(void**) {
  assert_string_equal(
      why(403, error("The provided key 'rk_live_***abc' does not have the "
                     "required permissions. Having the "
                     "'rak_checkout_session_read' permission would help."))
          .c_str(),
      "Stripe refused the line items with status 403: the key lacks the "
      "permission rak_checkout_session_read");
  assert_says(why(403, error("Having the 'rak_a_read' and 'rak_b_read' "
                             "permissions, or 'rak_a_read' ...")),
              ": the key lacks the permissions rak_a_read and rak_b_read");
  assert_says(why(403, error("'rak_a' 'rak_b' 'rak_c' 'rak_d' 'rak_e'")),
              "permissions rak_a, rak_b, rak_c and rak_d");
  // Where Stripe does not name one, its own words come first.
  std::string said = why(403, error("requests from your IP are not allowed"));
  assert_says(said, ": \"requests from your IP are not allowed\"");
  assert_says(said, "the permission rak_checkout_session_read");
  assert_says_not(said, "lacks");
}

void a_refusal_says_what_stripe_says(void**) {
  assert_string_equal(
      why(404, error("No such checkout.session: 'cs_1'; a similar object "
                     "exists in live mode",
                     "resource_missing"))
          .c_str(),
      "Stripe refused the line items with status 404: \"No such "
      "checkout.session: 'cs_1'; a similar object exists in live mode\" "
      "(\"resource_missing\"), asked for "
      "/v1/checkout/sessions/cs_1/line_items?limit=100");
  assert_says(why(401, error("Expired API Key provided: rk_live_***abc.",
                             "api_key_expired")),
              "with status 401: it does not know the key: \"Expired API Key "
              "provided: (the key)\" (\"api_key_expired\")");
  // On one line, bounded, and with no part of a key.
  std::string said = why(400, error("a\\nb\\u001b[31m sk_test_4eC39H'x' "
                                    "(rk_live_*****7890) whsec_abc"));
  assert_says(said, "\"a?b?[31m (the key)'x' ((the key) (the key)\"");
  assert_true(
      why(400, error(std::string(5000, 'x'), std::string(5000, 'y'))).size() <
      1000);
  assert_true(why(403, error("rak_" + std::string(5000, 'x'))).size() < 300);
}

Facts told(const std::string& body, const std::vector<std::string>& pages) {
  Event event = test::event(body);
  FactsOptions options = test::default_options();
  StripeQuestion asked =
      *StripeQuestion::about(event, facts_of(event, options), true);
  for (const std::string& page : pages) take(asked, 200, page);
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

void of_what_nobody_has_nothing_is_bought(void**) {
  auto line = [](const std::string& p, const std::string& quantity) {
    std::string text = price(p);
    return text.replace(1, 0, R"("quantity":)" + quantity + ",");
  };
  Facts facts = told(payment(), {page(line("1", "0") + "," + line("2", "2") +
                                          "," + line("3", "null"),
                                      false)});
  assert_string_equal(test::joined(facts.identifiers).c_str(),
                      "price_2 price_3 prod_2 prod_3");
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
      cmocka_unit_test(a_completed_one_that_may_be_paid_is_asked_about),
      cmocka_unit_test(what_ends_is_not_asked_about),
      cmocka_unit_test(odd_ids_go_into_no_path),
      cmocka_unit_test(lists_that_go_on_are_asked_for),
      cmocka_unit_test(what_says_all_is_not_asked_about),
      cmocka_unit_test(ids_are_escaped),
      cmocka_unit_test(pages_follow_one_another),
      cmocka_unit_test(three_pages_are_all),
      cmocka_unit_test(what_passes_is_tried_again),
      cmocka_unit_test(only_stripe_refuses),
      cmocka_unit_test(what_a_cache_kept_is_not_taken),
      cmocka_unit_test(anothers_items_are_not_taken),
      cmocka_unit_test(the_log_says_what_is_wrong),
      cmocka_unit_test(a_refusal_names_the_permission),
      cmocka_unit_test(a_refusal_says_what_stripe_says),
      cmocka_unit_test(what_stripe_told_is_what_was_bought),
      cmocka_unit_test(of_what_nobody_has_nothing_is_bought),
      cmocka_unit_test(a_whole_list_replaces_the_events_own),
      cmocka_unit_test(features_beyond_ten_are_all_there),
      cmocka_unit_test(lines_beyond_ten_name_the_plan),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
