#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/stripe/facts.h"

extern "C" {
#include <cmocka.h>
}

#include <cstdio>
#include <string>

#include "core/base/types.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/client_reference.h"
#include "core/stripe/event.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::Session;
using test::Shape;

namespace {

const test::Envelope kCompleted{"evt_1", 1000};

Facts completed(const Session& session) {
  return test::facts(test::session_event(kCompleted, "completed", session));
}

Facts completed_with(const Session& session, FactsOptions options) {
  Event event =
      test::event(test::session_event(kCompleted, "completed", session));
  return facts_of(event, options);
}

// Whatever it is about, one claim of whose it is is made.
void assert_claim(const PlaceFacts& place, ClaimKind kind, const char* target) {
  assert_true(!place.claims.empty());
  for (const Claim& claim : place.claims) {
    if (claim.kind == ClaimKind::part_of) continue;
    assert_int_equal(claim.kind, kind);
    assert_string_equal(claim.target.str().c_str(), target);
    assert_string_equal(claim.event.c_str(), "evt_1");
    assert_int_equal(to_unix(claim.created), 1000);
  }
}

std::string about(const PlaceFacts& place) {
  std::string sources;
  for (const Claim& claim : place.claims) {
    if (claim.kind == ClaimKind::part_of) continue;
    sources += (sources.empty() ? "" : " ") + claim.source;
  }
  return sources;
}

// "pi_1 of cs_1": one purchase, whoever it is that says whose.
std::string parts(const PlaceFacts& place) {
  std::string parts;
  for (const Claim& claim : place.claims) {
    if (claim.kind != ClaimKind::part_of) continue;
    parts += (parts.empty() ? "" : ", ") + claim.source + " of " +
             std::string(claim.target.place());
  }
  return parts;
}

void a_session_speaks_for_itself_its_subscription_and_its_payment(void**) {
  Facts facts = completed({.mode = "subscription",
                           .subscription = "sub_1",
                           .client_reference_id = "42"});
  assert_string_equal(about(facts.places.back()).c_str(), "cs_1 sub_1");
  facts = completed({.payment_intent = "pi_1", .user = "42"});
  assert_string_equal(about(facts.places.back()).c_str(), "cs_1 pi_1");
  assert_string_equal(about(facts.places.front()).c_str(), "");
}

void a_session_and_its_payment_are_one_purchase(void**) {
  for (const char* user : {"42", ""}) {
    Facts facts = completed({.payment_intent = "pi_1", .user = user});
    assert_string_equal(parts(facts.places.back()).c_str(), "pi_1 of cs_1");
    facts = completed({.mode = "subscription", .subscription = "sub_1"});
    assert_string_equal(parts(facts.places.back()).c_str(), "");
  }
}

// One that is paid by SEPA succeeds days after it was said.
void a_session_says_whose_it_is_when_it_is_made(void**) {
  Facts facts = test::facts(test::session_event(
      {"evt_1", 9000}, "async_payment_succeeded",
      {.client_reference_id = "42", .email = "ann@example.com", .made = 1000}));
  assert_claim(facts.places.back(), ClaimKind::client_reference, "u:42");
  assert_int_equal(to_unix(facts.places.back().email->said), 1000);
  assert_string_equal(facts.places.back().email->text.c_str(),
                      "ann@example.com");
  const Source& source = facts.places.back().sources.at("cs_1");
  assert_int_equal(to_unix(source.sessions.at(0).created), 9000);
}

void a_session_claims_its_customer_for_the_user_it_names(void**) {
  Facts facts = completed({.client_reference_id = "42"});
  assert_int_equal(facts.places.size(), 1);
  assert_string_equal(facts.places[0].place.c_str(), "cus_1");
  assert_claim(facts.places[0], ClaimKind::client_reference, "u:42");
}

void the_payment_intent_forwards_to_the_customer(void**) {
  Facts facts = completed({.payment_intent = "pi_1", .user = "42"});
  assert_int_equal(facts.places.size(), 2);
  assert_string_equal(facts.places[0].place.c_str(), "pi_1");
  assert_claim(facts.places[0], ClaimKind::forward, "p:cus_1");
  assert_true(facts.places[0].sources.empty());
  assert_claim(facts.places[1], ClaimKind::session_metadata, "u:42");
}

void a_guests_session_is_its_own_place(void**) {
  Facts facts = completed({.customer = "", .payment_intent = "pi_1"});
  assert_int_equal(facts.places.size(), 2);
  assert_claim(facts.places[0], ClaimKind::forward, "p:cs_1");
  assert_string_equal(facts.places[1].place.c_str(), "cs_1");
  assert_string_equal(about(facts.places[1]).c_str(), "");
  assert_string_equal(facts.places[1].sources.at("cs_1").place.c_str(), "cs_1");
}

void a_one_time_purchase_is_known_by_link_and_names(void**) {
  Facts facts = completed({.payment_intent = "pi_1",
                           .payment_link = "plink_9",
                           .names = "lifetime, beta  gamma"});
  const SessionFact& fact =
      facts.places.back().sources.at("cs_1").sessions.at(0);
  assert_true(fact.paid);
  assert_false(fact.subscription_mode);
  assert_string_equal(fact.payment_intent.c_str(), "pi_1");
  const char* expected =
      "metadata=beta metadata=gamma metadata=lifetime plink_9";
  assert_string_equal(test::joined(fact.identifiers).c_str(), expected);
  assert_string_equal(test::joined(facts.identifiers).c_str(), expected);
  assert_true(facts.note.empty());
}

void expanded_objects_are_as_good_as_ids(void**) {
  std::string body = test::session_event(
      kCompleted, "completed",
      {.payment_intent = "pi_1", .payment_link = "plink_9"});
  auto expand = [&](std::string id) {
    std::string quoted = '"' + id + '"';
    std::size_t at = body.find(":" + quoted) + 1;
    body.replace(at, quoted.size(), "{\"object\":\"x\",\"id\":" + quoted + "}");
  };
  std::string before = test::describe(test::facts(body));
  expand("cus_1");
  expand("pi_1");
  expand("plink_9");
  assert_string_equal(test::describe(test::facts(body)).c_str(),
                      before.c_str());
}

void expanded_line_items_are_read(void**) {
  std::string body = test::session_event(kCompleted, "completed", {});
  std::string lines =
      R"("line_items":{"data":[{"price":{"id":"price_1","product":"prod_1",)"
      R"("lookup_key":"k"}}]},"metadata")";
  body.replace(body.find("\"metadata\""), 10, lines);
  assert_string_equal(test::joined(test::facts(body).identifiers).c_str(),
                      "lookup_key=k price_1 prod_1");
}

void delayed_payment_is_not_paid_and_free_checkout_is(void**) {
  auto paid = [](const char* status) {
    Facts facts = completed({.payment_status = status});
    return facts.places.back().sources.at("cs_1").sessions.at(0).paid;
  };
  assert_true(paid("paid"));
  assert_true(paid("no_payment_required"));
  assert_false(paid("unpaid"));
  assert_false(paid("some_future_status"));
}

void a_setup_session_claims_and_never_grants(void**) {
  Facts facts = completed({.mode = "setup",
                           .payment_status = "no_payment_required",
                           .client_reference_id = "42"});
  assert_claim(facts.places.back(), ClaimKind::client_reference, "u:42");
  assert_true(facts.places.back().sources.empty());
  assert_false(facts.note.empty());
}

void a_subscriptions_session_names_no_purchase_of_its_own(void**) {
  Facts facts = completed({.mode = "subscription",
                           .payment_link = "plink_9",
                           .subscription = "sub_1"});
  assert_true(facts.identifiers.empty());
  const SessionFact& fact =
      facts.places.back().sources.at("cs_1").sessions.at(0);
  assert_true(fact.subscription_mode);
  assert_string_equal(fact.subscription.c_str(), "sub_1");
}

void sessions_that_came_to_nothing_say_nothing(void**) {
  for (const char* type : {"expired", "async_payment_failed"}) {
    Facts facts = test::facts(
        test::session_event(kCompleted, type, {.client_reference_id = "42"}));
    assert_true(facts.places.empty());
  }
}

void the_first_source_that_names_a_user_wins(void**) {
  Session session{.client_reference_id = "by_reference", .user = "by_metadata"};
  using Kind = UserFrom::Kind;
  Facts facts = completed_with(
      session, {{{Kind::metadata, "user_id"}, {Kind::client_reference_id, ""}},
                nullptr});
  assert_claim(facts.places.back(), ClaimKind::session_metadata,
               "u:by_metadata");
  facts = completed_with(session, {default_user_from(), nullptr});
  assert_claim(facts.places.back(), ClaimKind::client_reference,
               "u:by_reference");
  facts = completed_with(
      session,
      {{{Kind::metadata, "absent"}, {Kind::metadata, "user_id"}}, nullptr});
  assert_claim(facts.places.back(), ClaimKind::session_metadata,
               "u:by_metadata");
}

void what_is_no_user_is_passed_over(void**) {
  Facts facts =
      completed({.client_reference_id = std::string(256, 'x'), .user = "42"});
  assert_claim(facts.places.back(), ClaimKind::session_metadata, "u:42");
}

void an_email_claims_only_where_listed_and_in_lower_case(void**) {
  Session session{.email = "Ann@Example.COM"};
  Facts facts = completed(session);
  assert_true(facts.places.back().claims.empty());
  assert_string_equal(facts.email.c_str(), "ann@example.com");

  facts = completed_with(session, {{{UserFrom::Kind::email, ""}}, nullptr});
  assert_claim(facts.places.back(), ClaimKind::email, "u:ann@example.com");
  assert_string_equal(about(facts.places.back()).c_str(), "");
}

// --- signed references ---------------------------------------------------

const std::string kKey(32, 'k'), kOtherKey(32, 'o');

void a_signed_reference_names_its_user(void**) {
  ClientReference ours(std::vector{kKey});
  std::string reference = ours.make(*User::from("user|42"));
  assert_false(reference.empty());
  for (auto kind : {UserFrom::Kind::client_reference_id,
                    UserFrom::Kind::signed_client_reference_id}) {
    Facts facts = completed_with({.client_reference_id = reference},
                                 {{{kind, ""}}, &ours});
    assert_claim(facts.places.back(), ClaimKind::client_reference, "u:user|42");
  }
}

void a_forged_reference_is_refused_and_noted(void**) {
  ClientReference ours(std::vector{kKey}), theirs(std::vector{kOtherKey});
  std::string reference = theirs.make(*User::from("42"));
  for (auto kind : {UserFrom::Kind::client_reference_id,
                    UserFrom::Kind::signed_client_reference_id}) {
    Facts facts = completed_with(
        {.payment_link = "plink_1", .client_reference_id = reference},
        {{{kind, ""}}, &ours});
    assert_true(facts.places.back().claims.empty());
    assert_false(facts.note.empty());
    // What was bought is kept: it waits in its place.
    assert_int_equal(facts.places.back().sources.size(), 1);
  }
}

void a_plain_reference_is_refused_only_where_signed_is_asked_for(void**) {
  ClientReference ours(std::vector{kKey});
  Session session{.payment_link = "plink_1", .client_reference_id = "42"};
  Facts facts = completed_with(
      session, {{{UserFrom::Kind::signed_client_reference_id, ""}}, &ours});
  assert_true(facts.places.back().claims.empty());
  assert_false(facts.note.empty());
  facts = completed_with(session,
                         {{{UserFrom::Kind::client_reference_id, ""}}, &ours});
  assert_claim(facts.places.back(), ClaimKind::client_reference, "u:42");
}

void after_a_refused_reference_the_next_source_counts(void**) {
  Facts facts =
      completed_with({.client_reference_id = "mallory", .user = "42"},
                     {{{UserFrom::Kind::signed_client_reference_id, ""},
                       {UserFrom::Kind::metadata, "user_id"}},
                      nullptr});
  assert_claim(facts.places.back(), ClaimKind::session_metadata, "u:42");
}

void connect_ids_carry_their_account(void**) {
  Facts facts = test::facts(test::session_event(
      {"evt_1", 1000, Shape::basil, true, "acct_9"}, "completed",
      {.payment_intent = "pi_1",
       .payment_link = "plink_1",
       .client_reference_id = "42",
       .names = "pro"}));
  assert_string_equal(facts.places[0].place.c_str(), "acct_9/pi_1");
  assert_claim(facts.places[0], ClaimKind::forward, "p:acct_9/cus_1");
  const Source& source = facts.places[1].sources.at("acct_9/cs_1");
  assert_string_equal(source.place.c_str(), "acct_9/cus_1");
  assert_string_equal(source.sessions[0].payment_intent.c_str(), "acct_9/pi_1");
  assert_string_equal(test::joined(facts.identifiers).c_str(),
                      "acct_9/metadata=pro acct_9/plink_1");
}

std::string with_metadata(std::string body, const std::string& members) {
  std::size_t at = body.find("\"metadata\":{");
  assert_int_not_equal(at, std::string::npos);
  at += 12;
  bool empty = body[at] == '}';
  return body.insert(at, members + (empty ? "" : ","));
}

// The commonest one-time purchase of all: no payment link, and Stripe sends no
// line items.
void metadata_says_what_was_bought(void**) {
  std::string body = with_metadata(
      test::session_event(kCompleted, "completed", {.user = "42"}),
      R"("plan":"pro","seats":5,"empty":"","note":"a, b","entitlements":"x")");
  Facts facts = test::facts(body);
  assert_string_equal(test::joined(facts.identifiers).c_str(),
                      "metadata.note=a, b metadata.plan=pro metadata=x");
}

void of_metadata_the_first_sixteen_are_kept(void**) {
  std::string members = "\"a00\":\"" + std::string(140, 'v') + '"';
  for (int i = 39; i > 0; --i) {
    char key[4];
    std::snprintf(key, sizeof key, "a%02d", i);
    members += ",\"" + std::string(key) + "\":\"v\"";
  }
  Facts facts = test::facts(
      with_metadata(test::session_event(kCompleted, "completed", {}), members));
  assert_int_equal(facts.identifiers.size(), 16);
  assert_string_equal(facts.identifiers.front().str().c_str(),
                      "metadata.a01=v");
  assert_string_equal(facts.identifiers.back().str().c_str(), "metadata.a16=v");
}

void what_names_users_is_no_tag(void**) {
  std::string body = with_metadata(
      test::session_event(kCompleted, "completed", {.user = "42"}),
      R"("userId":"7","org":"9")");
  assert_string_equal(test::joined(test::facts(body).identifiers).c_str(),
                      "metadata.org=9");
  FactsOptions options{{{UserFrom::Kind::metadata, "org"}}, nullptr};
  assert_string_equal(
      test::joined(facts_of(test::event(body), options).identifiers).c_str(),
      "metadata.userId=7 metadata.user_id=42");
}

// invoice_creation: the invoice's own events name no payment any more.
void a_sessions_invoice_is_paid_by_its_payment(void**) {
  std::string body =
      test::session_event(kCompleted, "completed", {.payment_intent = "pi_1"});
  body.replace(body.find("\"metadata\""), 10,
               "\"invoice\":\"in_1\",\"metadata\"");
  Facts facts = test::facts(body);
  const SessionFact& link =
      facts.places.back().sources.at("in_1").sessions.at(0);
  assert_false(link.paid);
  assert_string_equal(link.payment_intent.c_str(), "pi_1");
  assert_true(link.identifiers.empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(metadata_says_what_was_bought),
      cmocka_unit_test(of_metadata_the_first_sixteen_are_kept),
      cmocka_unit_test(what_names_users_is_no_tag),
      cmocka_unit_test(a_sessions_invoice_is_paid_by_its_payment),
      cmocka_unit_test(a_session_and_its_payment_are_one_purchase),
      cmocka_unit_test(a_session_claims_its_customer_for_the_user_it_names),
      cmocka_unit_test(
          a_session_speaks_for_itself_its_subscription_and_its_payment),
      cmocka_unit_test(a_session_says_whose_it_is_when_it_is_made),
      cmocka_unit_test(the_payment_intent_forwards_to_the_customer),
      cmocka_unit_test(a_guests_session_is_its_own_place),
      cmocka_unit_test(a_one_time_purchase_is_known_by_link_and_names),
      cmocka_unit_test(expanded_objects_are_as_good_as_ids),
      cmocka_unit_test(expanded_line_items_are_read),
      cmocka_unit_test(delayed_payment_is_not_paid_and_free_checkout_is),
      cmocka_unit_test(a_setup_session_claims_and_never_grants),
      cmocka_unit_test(a_subscriptions_session_names_no_purchase_of_its_own),
      cmocka_unit_test(sessions_that_came_to_nothing_say_nothing),
      cmocka_unit_test(the_first_source_that_names_a_user_wins),
      cmocka_unit_test(what_is_no_user_is_passed_over),
      cmocka_unit_test(an_email_claims_only_where_listed_and_in_lower_case),
      cmocka_unit_test(a_signed_reference_names_its_user),
      cmocka_unit_test(a_forged_reference_is_refused_and_noted),
      cmocka_unit_test(
          a_plain_reference_is_refused_only_where_signed_is_asked_for),
      cmocka_unit_test(after_a_refused_reference_the_next_source_counts),
      cmocka_unit_test(connect_ids_carry_their_account),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
