#include "core/access/access.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <string>

#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Payment;
using test::Session;
using test::Subscription;
using test::Time;

namespace {

constexpr Time kHour = 3600, kDay = 24 * kHour;
constexpr Time kStart = 1'767'225'600, kEnd = kStart + 30 * kDay;

// The single source of these events at a moment.
Verdict verdict(const std::vector<std::string>& bodies, Time now,
                const Policy& policy = {}) {
  std::vector<Projection> projections = project(test::sources_of(bodies));
  assert_int_equal(projections.size(), 1);
  return judge(projections[0], policy, unix_time(now));
}

void assert_until(const std::vector<std::string>& bodies, Time end, Lapse after,
                  const Policy& policy = {}) {
  Verdict last = verdict(bodies, end - 1, policy);
  assert_true(last.effective);
  assert_int_equal(to_unix(last.until), end);
  assert_int_equal(last.lapse, Lapse::none);
  Verdict over = verdict(bodies, end, policy);
  assert_false(over.effective);
  assert_int_equal(over.lapse, after);
}

Subscription pro(std::string status) {
  Subscription sub{.items = {item("pro", kEnd)}};
  sub.status = std::move(status);
  return sub;
}

std::vector<std::string> said(const Subscription& sub,
                              std::string_view type = "updated") {
  return {test::subscription_event({"evt_1", kStart}, type, sub)};
}

void active_ends_a_grace_after_its_period(void**) {
  assert_until(said(pro("active")), kEnd + 72 * kHour, Lapse::ended);
  Policy policy;
  policy.grace = Seconds{5};
  assert_until(said(pro("active")), kEnd + 5, Lapse::ended, policy);
}

void active_without_a_known_end_ends_after_35_days(void**) {
  Subscription sub = pro("active");
  sub.items[0].period_end = 0;
  assert_until(said(sub), kStart + 35 * kDay + 72 * kHour, Lapse::ended);
  assert_int_not_equal(
      test::facts(said(sub)[0]).note.find("when its period ends"),
      std::string::npos);
  assert_true(test::facts(said(sub)[0]).assumes_end);
  assert_false(test::facts(said(pro("active"))[0]).assumes_end);
}

void active_without_a_known_end_ends_after_its_prices_interval(void**) {
  Subscription sub = pro("active");
  sub.items[0].period_end = 0;
  auto every = [&](std::string interval) {
    std::string body = said(sub)[0];
    std::string price = "\"object\":\"price\"";
    return std::vector<std::string>{body.insert(
        body.find(price), "\"recurring\":{\"interval\":" + interval + "},")};
  };
  assert_until(every(R"("month")"), kStart + 31 * kDay + 72 * kHour,
               Lapse::ended);
  assert_until(every(R"("week","interval_count":2)"),
               kStart + 14 * kDay + 72 * kHour, Lapse::ended);
  assert_until(every(R"("aeon")"), kStart + 35 * kDay + 72 * kHour,
               Lapse::ended);
  // An invoice knows it.
  std::vector<std::string> bodies = every(R"("month")");
  bodies.push_back(test::invoice_event({"evt_2", kStart}, "paid",
                                       {.items = {item("pro", kEnd)}}));
  assert_until(bodies, kEnd + 72 * kHour, Lapse::ended);
}

void a_trial_ends_with_the_trial(void**) {
  Subscription sub = pro("trialing");
  sub.trial_end = kStart + 14 * kDay;
  assert_until(said(sub), kStart + 14 * kDay + 72 * kHour, Lapse::ended);
}

void cancel_at_ends_sharp(void**) {
  Subscription sub = pro("active");
  sub.cancel_at = kStart + 5 * kDay;
  assert_until(said(sub), kStart + 5 * kDay, Lapse::ended);
}

void cancel_at_period_end_ends_sharp(void**) {
  Subscription sub = pro("active");
  sub.cancel_at_period_end = true;
  assert_until(said(sub), kEnd, Lapse::ended);
  sub.cancel_at = kStart + 5 * kDay;  // whichever is first
  assert_until(said(sub), kStart + 5 * kDay, Lapse::ended);
  sub.cancel_at = kEnd + 5 * kDay;
  assert_until(said(sub), kEnd, Lapse::ended);
}

void a_trial_that_is_cancelled_ends_with_the_trial(void**) {
  Subscription sub = pro("trialing");
  sub.trial_end = sub.items[0].period_end = kStart + 14 * kDay;
  sub.cancel_at_period_end = true;
  assert_until(said(sub), kStart + 14 * kDay, Lapse::ended);
}

void past_due_ends_its_grace_after_it_began(void**) {
  Subscription sub = pro("past_due");
  assert_until(said(sub, "created"), kStart + 7 * kDay, Lapse::past_due_over);
  sub.cancel_at = kStart + kDay;
  assert_until(said(sub, "created"), kStart + kDay, Lapse::ended);
}

void other_statuses_give_nothing(void**) {
  for (const char* status : {"unpaid", "canceled", "incomplete_expired",
                             "paused", "some_future_status"}) {
    Verdict none = verdict(said(pro(status)), kStart);
    assert_false(none.effective);
    assert_int_equal(none.lapse, Lapse::ended);
  }
  assert_int_equal(verdict(said(pro("incomplete")), kStart).lapse,
                   Lapse::not_paid);
}

void ended_at_and_deleted_end_at_once(void**) {
  Subscription sub = pro("active");
  assert_false(verdict(said(sub, "deleted"), kStart).effective);
  sub.ended_at = kStart;
  assert_false(verdict(said(sub), kStart).effective);
}

Policy pause_revokes() {
  Policy policy;
  policy.pause_revokes = true;
  return policy;
}

void pause_collection_is_policy(void**) {
  for (const char* version : {"2024-06-20", "2026-07-29.dahlia"}) {
    std::string body = test::fixture(
        std::string(version) +
        "/customer.subscription.updated.pause_collection_void.json");
    assert_true(verdict({body}, kStart + kDay).effective);
    Verdict revoked = verdict({body}, kStart + kDay, pause_revokes());
    assert_false(revoked.effective);
    assert_int_equal(revoked.lapse, Lapse::collection_paused);
  }
}

void a_pause_of_any_behavior_revokes(void**) {
  for (const char* behavior : {"keep_as_draft", "mark_uncollectible", "void",
                               "some_future_behavior"}) {
    for (const char* status : {"active", "trialing", "past_due"}) {
      Subscription sub = pro(status);
      sub.trial_end = kEnd;
      sub.pause_collection = behavior;
      assert_true(verdict(said(sub), kStart).effective);
      assert_int_equal(verdict(said(sub), kStart, pause_revokes()).lapse,
                       Lapse::collection_paused);
      // What has ended has ended, paused or not.
      assert_int_equal(verdict(said(sub), kEnd * 2, pause_revokes()).lapse,
                       verdict(said(sub), kEnd * 2).lapse);
    }
  }
  Subscription incomplete = pro("incomplete");
  incomplete.pause_collection = "void";
  assert_int_equal(verdict(said(incomplete), kStart, pause_revokes()).lapse,
                   Lapse::not_paid);
  // Nobody says how.
  std::string body = said(pro("active"))[0];
  std::string none = "\"pause_collection\":null";
  body.replace(body.find(none), none.size(), "\"pause_collection\":{}");
  assert_false(verdict({body}, kStart, pause_revokes()).effective);
}

void a_pause_ends_when_it_says_and_when_it_is_taken_back(void**) {
  Subscription sub = pro("active"), paused = sub, later = sub;
  paused.pause_collection = later.pause_collection = "void";
  paused.resumes_at = kStart + 2 * kDay;
  std::vector<std::string> bodies = {
      test::subscription_event({"evt_1", kStart}, "created", sub),
      test::subscription_event({"evt_2", kStart + 5}, "updated", paused, &sub)};
  const Policy revokes = pause_revokes();
  assert_false(verdict(bodies, *paused.resumes_at - 1, revokes).effective);
  assert_int_equal(to_unix(verdict(bodies, *paused.resumes_at, revokes).until),
                   kEnd + 72 * kHour);

  // Put off without an end, in the same second; then taken back, in another.
  bodies.push_back(test::subscription_event({"evt_0", kStart + 5}, "updated",
                                            later, &paused));
  assert_false(verdict(bodies, kEnd, revokes).effective);
  assert_true(verdict(bodies, kEnd).effective);
  bodies.push_back(
      test::subscription_event({"evt_3", kStart + 9}, "updated", sub, &later));
  std::sort(bodies.begin(), bodies.end());
  do {
    assert_true(verdict(bodies, kStart + 9, revokes).effective);
  } while (std::next_permutation(bodies.begin(), bodies.end()));
}

void paused_and_resumed_in_one_second_is_not_paused(void**) {
  Subscription sub = pro("active"), paused = sub;
  paused.pause_collection = "keep_as_draft";
  // The later one has the smaller id.
  std::vector<std::string> bodies = {
      test::subscription_event({"evt_9", kStart}, "created", sub),
      test::subscription_event({"evt_8", kStart}, "updated", paused, &sub),
      test::subscription_event({"evt_1", kStart}, "updated", sub, &paused)};
  assert_true(verdict(bodies, kStart, pause_revokes()).effective);
  // Of two that cannot be told apart, the one that gives less.
  bodies = {test::subscription_event({"evt_8", kStart}, "updated", paused),
            test::subscription_event({"evt_9", kStart}, "updated", sub)};
  assert_false(verdict(bodies, kStart, pause_revokes()).effective);
}

void an_invoice_alone_gives_access_until_its_end(void**) {
  assert_until({test::invoice_event({"evt_1", kStart}, "paid",
                                    {.items = {item("pro", kEnd)}})},
               kEnd + 72 * kHour, Lapse::ended);
}

// --- one-time purchases ----------------------------------------------------

std::string session(std::string status = "paid", Time at = kStart,
                    std::string event = "evt_1") {
  return test::session_event({event, at}, "completed",
                             {.payment_status = status,
                              .payment_intent = "pi_1",
                              .payment_link = "plink_1"});
}

std::string refunded(std::string event, Time at, bool full) {
  return test::charge_refunded_event({event, at}, {.customer = "cus_1"}, full);
}

std::string refund(std::string event, Time at, std::string status,
                   std::string id = "re_1", int amount = 4900) {
  return test::refund_event({event, at}, "refund.updated", {}, id, status,
                            amount);
}

std::string dispute(std::string event, Time at, std::string status,
                    std::string id = "du_1") {
  return test::dispute_event({event, at}, "updated", {}, id, status);
}

void assert_lapse(std::vector<std::string> bodies, Lapse expected,
                  const Policy& policy = {}) {
  std::sort(bodies.begin(), bodies.end());
  do {
    Verdict now = verdict(bodies, kEnd, policy);
    assert_int_equal(now.lapse, expected);
    assert_int_equal(now.effective, expected == Lapse::none);
  } while (std::next_permutation(bodies.begin(), bodies.end()));
}

void a_purchase_is_for_ever(void**) {
  Verdict paid = verdict({session()}, kEnd + 10000 * kDay);
  assert_true(paid.effective);
  assert_true(paid.until == kForever);
}

void unpaid_waits_for_its_money(void**) {
  assert_lapse({session("unpaid")}, Lapse::not_paid);
  assert_lapse({session("unpaid"), session("paid", kStart + 5, "evt_2")},
               Lapse::none);
  assert_lapse({session("paid"), session("unpaid", kStart + 5, "evt_2")},
               Lapse::none);
}

void only_a_full_refund_revokes(void**) {
  assert_lapse({session(), refunded("evt_2", kStart + 1, false)}, Lapse::none);
  assert_lapse({session(), refunded("evt_2", kStart + 1, false),
                refunded("evt_3", kStart + 2, true)},
               Lapse::refunded);
  assert_lapse({session(), refund("evt_2", kStart + 1, "succeeded")},
               Lapse::none);
}

void a_failed_refund_restores(void**) {
  assert_lapse({session(), refunded("evt_2", kStart + 1, true),
                refund("evt_3", kStart + 1, "succeeded"),
                refund("evt_4", kStart + 9, "failed")},
               Lapse::none);
  assert_lapse({session(), refunded("evt_2", kStart + 1, true),
                refund("evt_4", kStart + 9, "canceled")},
               Lapse::none);
}

void of_refunds_the_newest_word_decides_and_ties_revoke(void**) {
  assert_lapse({session(), refund("evt_4", kStart + 1, "failed"),
                refunded("evt_2", kStart + 9, true)},
               Lapse::refunded);
  assert_lapse({session(), refund("evt_4", kStart + 9, "failed"),
                refunded("evt_2", kStart + 9, true)},
               Lapse::refunded);
  // Two halves: one fails, so not everything is back.
  assert_lapse({session(), refunded("evt_2", kStart + 1, false),
                refund("evt_3", kStart + 1, "pending"),
                refunded("evt_4", kStart + 2, true),
                refund("evt_5", kStart + 2, "succeeded", "re_2", 2450),
                refund("evt_6", kStart + 3, "failed", "re_1", 2450)},
               Lapse::none);
}

void open_and_lost_disputes_suspend(void**) {
  struct {
    const char* status;
    Lapse expected;
  } cases[] = {{"needs_response", Lapse::disputed},
               {"under_review", Lapse::disputed},
               {"lost", Lapse::disputed},
               {"some_future_status", Lapse::disputed},
               {"won", Lapse::none},
               {"prevented", Lapse::none},
               {"warning_needs_response", Lapse::none},
               {"warning_under_review", Lapse::none},
               {"warning_closed", Lapse::none}};
  for (const auto& one : cases) {
    assert_lapse({session(), dispute("evt_2", kStart + 1, one.status)},
                 one.expected);
  }
}

void disputes_flip_both_ways(void**) {
  std::string open = dispute("evt_2", kStart + 1, "needs_response");
  std::string won = dispute("evt_3", kStart + 2, "won");
  std::string lost = dispute("evt_4", kStart + 3, "lost");
  assert_lapse({session(), open, won}, Lapse::none);
  assert_lapse({session(), open, won, lost}, Lapse::disputed);
  assert_lapse({session(), lost, dispute("evt_5", kStart + 4, "won")},
               Lapse::none);
}

void one_open_dispute_of_several_suspends(void**) {
  assert_lapse({session(), dispute("evt_2", kStart + 1, "won"),
                dispute("evt_3", kStart + 1, "needs_response", "du_2")},
               Lapse::disputed);
}

void what_refunds_and_disputes_do_is_policy(void**) {
  std::vector<std::string> both = {session(),
                                   refunded("evt_2", kStart + 1, true),
                                   dispute("evt_3", kStart + 2, "lost")};
  Policy keep_refunds, keep_disputes, keep_both;
  keep_refunds.refund_revokes = keep_both.refund_revokes = false;
  keep_disputes.dispute_revokes = keep_both.dispute_revokes = false;
  assert_lapse(both, Lapse::refunded);
  assert_lapse(both, Lapse::disputed, keep_refunds);
  assert_lapse(both, Lapse::refunded, keep_disputes);
  assert_lapse(both, Lapse::none, keep_both);
}

void a_payment_of_another_session_is_its_own_business(void**) {
  Sources all = test::sources_of(
      {session(), test::charge_refunded_event(
                      {"evt_2", kStart + 1},
                      {.intent = "pi_2", .customer = "cus_1"}, true)});
  assert_int_equal(effective_identifiers(all, {}, unix_time(kEnd)).size(), 1);
}

// --- subscriptions' sessions -------------------------------------------------

void a_subscriptions_session_stands_in_only_where_asked_to(void**) {
  std::string paid = test::session_event(
      {"evt_1", kStart}, "completed",
      {.mode = "subscription", .subscription = "sub_1", .names = "pro"});
  Policy provisional;
  provisional.provisional = std::chrono::hours(1);
  assert_false(verdict({paid}, kStart).effective);
  assert_until({paid}, kStart + kHour, Lapse::not_paid, provisional);

  // Ends with the first word about the subscription, whatever it says.
  for (const char* status : {"incomplete", "active", "canceled"}) {
    Sources all = test::sources_of({paid, said(pro(status))[0]});
    for (const Projection& one : project(all)) {
      assert_string_equal(one.source.c_str(), "sub_1");
    }
  }
  std::string unpaid = test::session_event(
      {"evt_1", kStart}, "completed",
      {.mode = "subscription", .payment_status = "unpaid", .names = "pro"});
  assert_true(project(test::sources_of({unpaid})).empty());
}

// --- customers
// -----------------------------------------------------------------

void a_deleted_customer_ends_all_it_has_whatever_comes_later(void**) {
  std::vector<std::string> bodies = {
      said(pro("active"))[0], session("paid", kStart, "evt_2"),
      test::summary_event({"evt_3", kStart}, "cus_1", {"sso"}, false),
      test::customer_event({"evt_4", kStart + 1}, "deleted", "cus_1", ""),
      test::subscription_event({"evt_5", kStart + 9}, "updated",
                               pro("active"))};
  Sources all = test::sources_of(bodies);
  assert_true(effective_identifiers(all, {}, unix_time(kStart + 10)).empty());
  for (const Projection& one : project(all)) {
    assert_int_equal(one.state, Projection::State::ended);
  }
  // Another customer of the same user is not touched.
  Subscription other = pro("active");
  other.id = "sub_2";
  other.customer = "cus_2";
  bodies.push_back(
      test::subscription_event({"evt_6", kStart}, "created", other));
  assert_int_equal(effective_identifiers(test::sources_of(bodies), {},
                                         unix_time(kStart + 10))
                       .size(),
                   3);
}

void effective_identifiers_are_a_union(void**) {
  Subscription other = pro("active");
  other.id = "sub_2";
  other.items = {item("pro", kEnd), item("addon", kEnd)};
  Sources all = test::sources_of(
      {said(pro("active"))[0], session("paid", kStart, "evt_2"),
       test::subscription_event({"evt_3", kStart}, "created", other),
       test::summary_event({"evt_4", kStart}, "cus_1", {"sso"}, false)});
  assert_string_equal(
      test::joined(effective_identifiers(all, {}, unix_time(kStart))).c_str(),
      "feature=sso lookup_key=addon_key lookup_key=pro_key plink_1 "
      "price_addon price_pro prod_addon prod_pro");
}

void the_end_of_an_old_subscription_leaves_the_new_one(void**) {
  Subscription replaced = pro("canceled");
  replaced.ended_at = kStart;
  Subscription current = pro("active");
  current.id = "sub_2";
  Sources all = test::sources_of(
      {said(replaced, "deleted")[0],
       test::subscription_event({"evt_2", kStart}, "created", current)});
  assert_int_equal(effective_identifiers(all, {}, unix_time(kStart)).size(), 3);
}

void an_operators_grant_ends_when_it_says(void**) {
  Sources all;
  all["grant:beta"].granted =
      Granted{unix_time(kEnd), {*Identifier::parse("metadata=beta")}};
  assert_int_equal(effective_identifiers(all, {}, unix_time(kEnd - 1)).size(),
                   1);
  assert_true(effective_identifiers(all, {}, unix_time(kEnd)).empty());
}

void extreme_times_do_not_overflow(void**) {
  constexpr Time kLast = (Time{1} << 40) - 1;
  Subscription sub{.items = {item("pro", kLast)}};
  Policy policy;
  policy.grace = policy.past_due_grace = Seconds::max();
  Verdict open = verdict(said(sub), kLast, policy);
  assert_true(open.effective);
  sub.status = "past_due";
  assert_true(verdict(said(sub), kLast, policy).effective);
}

std::string succeeded(const char* capture, const char* metadata) {
  return R"({"id":"evt_9","object":"event","created":1767225700,)"
         R"("livemode":false,"type":"payment_intent.succeeded","data":)"
         R"({"object":{"id":"pi_1","status":"succeeded","customer":"cus_1",)"
         R"("capture_method":")" +
         std::string(capture) + R"(","metadata":)" + metadata + "}}}";
}

const Payment kPayment{.customer = "cus_1"};

void a_payment_of_its_own_is_refunded_and_disputed(void**) {
  std::string buys = succeeded("automatic", R"({"plan":"pro"})");
  assert_true(verdict({buys}, kStart + kDay).effective);
  std::string refund =
      test::charge_refunded_event({"evt_2", kStart + 200}, kPayment, true);
  assert_int_equal(verdict({buys, refund}, kStart + kDay).lapse,
                   Lapse::refunded);
  std::string dispute = test::dispute_event({"evt_3", kStart + 300}, "created",
                                            kPayment, "du_1", "needs_response");
  assert_int_equal(verdict({dispute, buys}, kStart + kDay).lapse,
                   Lapse::disputed);
}

// All is given back by one refund; another failed, a third makes no sense.
void an_amount_below_zero_gives_nothing_back(void**) {
  for (std::int64_t odd : {-1, -4900}) {
    Sources all =
        test::sources_of({succeeded("automatic", R"({"plan":"pro"})")});
    auto refund = [](const char* id, std::int64_t amount, bool returned) {
      RefundFact fact;
      fact.event = std::string("evt_") + id;
      fact.created = unix_time(kStart + 300);
      fact.id = id;
      fact.amount = amount;
      fact.returned = returned;
      return fact;
    };
    RefundFact charge;
    charge.event = "evt_ch";
    charge.created = unix_time(kStart + 200);
    charge.id = "ch_1";
    charge.of_charge = charge.full = true;
    charge.charged = 4900;
    all["pi_1"].refunds = {charge, refund("re_1", 4900, false),
                           refund("re_2", 4900, true),
                           refund("re_3", odd, false)};
    assert_true(project(all).at(0).state == Projection::State::refunded);
    // More than all is all.
    all["pi_1"].refunds = {charge, refund("re_1", 4900, false),
                           refund("re_2", 4900, true),
                           refund("re_3", 4900, false)};
    assert_true(project(all).at(0).state == Projection::State::refunded);
    // Of a charge of nothing it cannot be told.
    charge.charged = 0;
    all["pi_1"].refunds = {charge, refund("re_2", 4900, true)};
    assert_true(project(all).at(0).state == Projection::State::paid);
  }
}

// With payment_intent_data.metadata both say something.
void a_payment_of_a_session_is_no_second_purchase(void**) {
  std::string session = test::session_event(
      {"evt_1", kStart}, "completed",
      {.payment_intent = "pi_1", .payment_link = "plink_1"});
  std::string payment = succeeded("automatic", R"({"plan":"pro"})");
  std::vector<Projection> all = project(test::sources_of({payment, session}));
  assert_int_equal(all.size(), 1);
  assert_string_equal(all[0].source.c_str(), "cs_1");
  assert_string_equal(test::joined(all[0].identifiers).c_str(),
                      "metadata.plan=pro plink_1");
}

void a_capture_by_hand_pays_the_session(void**) {
  std::string session = test::session_event({"evt_1", kStart}, "completed",
                                            {.payment_status = "unpaid",
                                             .payment_intent = "pi_1",
                                             .payment_link = "plink_1"});
  assert_int_equal(verdict({session}, kStart + kDay).lapse, Lapse::not_paid);
  std::string captured = succeeded("manual", "{}");
  assert_true(verdict({captured, session}, kStart + kDay).effective);
  std::string refund =
      test::charge_refunded_event({"evt_2", kStart + 200}, kPayment, true);
  assert_int_equal(verdict({captured, session, refund}, kStart + kDay).lapse,
                   Lapse::refunded);
}

// Stripe told with one event what it would not tell with the next.
void any_event_of_a_session_says_what_it_sells(void**) {
  auto fact = [](const char* event, bool paid,
                 std::initializer_list<const char*> identifiers) {
    SessionFact made;
    made.event = event;
    made.paid = paid;
    for (const char* one : identifiers) {
      made.identifiers.push_back(*Identifier::parse(one));
    }
    return made;
  };
  Sources all;
  all["cs_1"].sessions = {fact("evt_1", false, {"metadata.plan=x", "price_a"}),
                          fact("evt_2", true, {"price_b", "prod_b"}),
                          fact("evt_3", true, {"metadata.plan=y"})};
  std::vector<Projection> projections = project(all);
  assert_int_equal(projections.size(), 1);
  // Metadata may have been changed meanwhile: the newest counts.
  assert_string_equal(test::joined(projections[0].identifiers).c_str(),
                      "metadata.plan=y price_a price_b prod_b");
  all["cs_1"].sessions = {fact("evt_1", false, {"price_a"})};
  assert_int_equal(project(all)[0].state, Projection::State::not_paid);
}

void a_one_off_invoice_is_refunded_with_its_payment(void**) {
  std::string invoice =
      R"({"id":"evt_1","object":"event","created":1767225700,"livemode":true,)"
      R"("type":"invoice.paid","data":{"object":{"id":"in_1","status":"paid",)"
      R"("customer":"cus_1","parent":null,"lines":{"data":[{"amount":1,)"
      R"("pricing":{"price_details":{"price":"price_1"}}}]}}}})";
  std::string paid =
      R"({"id":"evt_2","object":"event","created":1767225700,"livemode":true,)"
      R"("type":"invoice_payment.paid","data":{"object":{"id":"inpay_1",)"
      R"("invoice":"in_1","status":"paid","payment":{"type":)"
      R"("payment_intent","payment_intent":"pi_1"}}}})";
  std::string refund =
      test::charge_refunded_event({"evt_3", kStart + 200}, kPayment, true);
  assert_true(verdict({invoice, paid}, kStart + kDay).effective);
  assert_true(verdict({invoice, refund}, kStart + kDay).effective);
  assert_int_equal(verdict({refund, paid, invoice}, kStart + kDay).lapse,
                   Lapse::refunded);
  assert_true(project(test::sources_of({paid})).empty());
}

void a_capture_of_nobody_knows_what_opens_nothing(void**) {
  std::vector<Projection> all =
      project(test::sources_of({succeeded("manual", "{}")}));
  assert_int_equal(all.size(), 1);
  assert_int_equal(all[0].state, Projection::State::paid);
  assert_true(all[0].identifiers.empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_payment_of_its_own_is_refunded_and_disputed),
      cmocka_unit_test(an_amount_below_zero_gives_nothing_back),
      cmocka_unit_test(a_payment_of_a_session_is_no_second_purchase),
      cmocka_unit_test(a_capture_by_hand_pays_the_session),
      cmocka_unit_test(any_event_of_a_session_says_what_it_sells),
      cmocka_unit_test(a_one_off_invoice_is_refunded_with_its_payment),
      cmocka_unit_test(a_capture_of_nobody_knows_what_opens_nothing),
      cmocka_unit_test(active_ends_a_grace_after_its_period),
      cmocka_unit_test(active_without_a_known_end_ends_after_35_days),
      cmocka_unit_test(
          active_without_a_known_end_ends_after_its_prices_interval),
      cmocka_unit_test(a_trial_ends_with_the_trial),
      cmocka_unit_test(cancel_at_ends_sharp),
      cmocka_unit_test(cancel_at_period_end_ends_sharp),
      cmocka_unit_test(a_trial_that_is_cancelled_ends_with_the_trial),
      cmocka_unit_test(past_due_ends_its_grace_after_it_began),
      cmocka_unit_test(other_statuses_give_nothing),
      cmocka_unit_test(ended_at_and_deleted_end_at_once),
      cmocka_unit_test(pause_collection_is_policy),
      cmocka_unit_test(a_pause_of_any_behavior_revokes),
      cmocka_unit_test(a_pause_ends_when_it_says_and_when_it_is_taken_back),
      cmocka_unit_test(paused_and_resumed_in_one_second_is_not_paused),
      cmocka_unit_test(an_invoice_alone_gives_access_until_its_end),
      cmocka_unit_test(a_purchase_is_for_ever),
      cmocka_unit_test(unpaid_waits_for_its_money),
      cmocka_unit_test(only_a_full_refund_revokes),
      cmocka_unit_test(a_failed_refund_restores),
      cmocka_unit_test(of_refunds_the_newest_word_decides_and_ties_revoke),
      cmocka_unit_test(open_and_lost_disputes_suspend),
      cmocka_unit_test(disputes_flip_both_ways),
      cmocka_unit_test(one_open_dispute_of_several_suspends),
      cmocka_unit_test(what_refunds_and_disputes_do_is_policy),
      cmocka_unit_test(a_payment_of_another_session_is_its_own_business),
      cmocka_unit_test(a_subscriptions_session_stands_in_only_where_asked_to),
      cmocka_unit_test(a_deleted_customer_ends_all_it_has_whatever_comes_later),
      cmocka_unit_test(effective_identifiers_are_a_union),
      cmocka_unit_test(the_end_of_an_old_subscription_leaves_the_new_one),
      cmocka_unit_test(an_operators_grant_ends_when_it_says),
      cmocka_unit_test(extreme_times_do_not_overflow),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
