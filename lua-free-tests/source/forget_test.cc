#include "core/source/forget.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/source/source.h"

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Subscription;
using test::Time;

namespace {

constexpr Time kDay = 24 * 3600, kStart = 1'767'225'600;

Sources subscription(int n, Time at, std::string status, Time end = 0) {
  Subscription sub{.id = "sub_" + std::to_string(n),
                   .items = {item("pro", end ? end : at + 30 * kDay)}};
  sub.status = std::move(status);
  return test::sources_of({test::subscription_event(
      {"evt_" + std::to_string(n), at}, "updated", sub)});
}

Sources purchase(int n, Time at) {
  std::string id = std::to_string(n);
  return test::sources_of(
      {test::session_event({"evt_" + id, at}, "completed",
                           {.id = "cs_" + id,
                            .payment_intent = "pi_" + id,
                            .payment_link = "plink_1"}),
       test::charge_refunded_event(
           {"evt_r" + id, at},
           {.intent = "pi_" + id, .charge = "ch_" + id, .customer = "cus_1"},
           true)});
}

void forget_at(Sources& sources, Time now) { forget(sources, unix_time(now)); }

// Something happens elsewhere: what was said last says how late it is.
void pass_to(Sources& sources, Time now) {
  merge(sources, test::sources_of(
                     {test::summary_event({"evt_z" + std::to_string(now), now},
                                          "cus_clock", {"clock"}, false)}));
  forget_at(sources, now);
  sources.erase("cus_clock");
}

Sources cancelled(Time at) {
  Sources all = subscription(1, at - 5, "active");
  Subscription sub{.id = "sub_1", .items = {item("pro", at + 30 * kDay)}};
  sub.status = "canceled";
  sub.ended_at = at;
  merge(all, test::sources_of(
                 {test::subscription_event({"evt_end", at}, "deleted", sub)}));
  return all;
}

void what_ended_a_subscription_stays_and_the_rest_goes_after_45_days(void**) {
  Sources all = cancelled(kStart);
  pass_to(all, kStart + 44 * kDay);
  assert_int_equal(all.at("sub_1").snapshots.size(), 2);
  pass_to(all, kStart + 46 * kDay);
  assert_int_equal(all.at("sub_1").snapshots.size(), 1);
  assert_true(all.at("sub_1").snapshots.front().terminal());
  pass_to(all, kStart + 400 * kDay);
  assert_int_equal(all.count("sub_1"), 1);
  pass_to(all, kStart + 401 * kDay);
  assert_int_equal(all.count("sub_1"), 0);
}

void an_older_event_does_not_open_what_ended(void**) {
  Sources late = subscription(1, kStart - 3 * kDay, "active");
  for (Time day = 0; day <= 42; ++day) {
    Sources all = cancelled(kStart);
    pass_to(all, kStart + day * kDay);
    merge(all, late);
    pass_to(all, kStart + day * kDay);
    for (const Projection& one : project(all)) {
      assert_true(one.state == Projection::State::ended);
    }
  }
}

void a_subscription_that_has_not_ended_stays(void**) {
  for (const char* status : {"active", "past_due", "unpaid", "paused"}) {
    Sources all = subscription(1, kStart, status);
    Sources kept = all;
    pass_to(kept, kStart + 4000 * kDay);
    assert_true(kept == all);
  }
}

void grace_does_not_begin_again(void**) {
  Subscription sub{.id = "sub_1", .items = {item("pro", kStart)}};
  Subscription before = sub;
  sub.status = "past_due";
  Sources all = test::sources_of(
      {test::subscription_event({"evt_1", kStart}, "updated", sub, &before)});
  pass_to(all, kStart + 900 * kDay);
  merge(all, test::sources_of({test::subscription_event(
                 {"evt_2", kStart + 901 * kDay}, "updated", sub)}));
  pass_to(all, kStart + 901 * kDay);
  assert_int_equal(to_unix(project(all).at(0).since), kStart);
}

void nor_where_the_event_that_began_it_was_lost(void**) {
  Sources all = subscription(1, kStart, "past_due");  // it says no before
  auto told_again = [&](int n, Time at) {
    pass_to(all, at);
    Sources again;
    again["sub_1"] = subscription(n, at, "past_due").begin()->second;
    merge(all, again);
    pass_to(all, at);
    assert_int_equal(to_unix(project(all).at(0).since), kStart);
  };
  told_again(2, kStart + 450 * kDay);
  for (int n = 3; n < 30; ++n) told_again(n, kStart + (600 + n) * kDay);
}

void what_is_paid_for_ever_stays_with_its_refunds(void**) {
  Sources all = purchase(1, kStart);  // refunded: effective where policy keeps
  all["grant:x"].granted =
      Granted{kForever, {*Identifier::parse("metadata=x")}};
  merge(all, test::sources_of({test::summary_event({"evt_9", kStart}, "cus_1",
                                                   {"sso"}, false)}));
  Sources kept = all;
  pass_to(kept, kStart + 4000 * kDay);
  assert_true(kept == all);
}

void a_refund_waits_45_days_for_its_purchase(void**) {
  Sources all = purchase(1, kStart);
  Sources session;
  session["cs_1"] = all.at("cs_1");
  all.erase("cs_1");
  Sources early = all;
  pass_to(early, kStart + 45 * kDay);
  merge(early, session);
  assert_true(project(early).at(0).state == Projection::State::refunded);
  pass_to(all, kStart + 46 * kDay);
  assert_true(all.empty());
}

void what_was_not_paid_is_forgotten_after_45_days(void**) {
  auto session = [](std::string event, std::string status) {
    return test::sources_of({test::session_event({event, kStart}, "completed",
                                                 {.payment_status = status})});
  };
  Sources all = session("evt_1", "unpaid");
  pass_to(all, kStart + 45 * kDay);
  assert_int_equal(all.size(), 1);
  merge(all, session("evt_2", "paid"));
  pass_to(all, kStart + 46 * kDay);
  assert_int_equal(all.at("cs_1").sessions.size(), 1);
  assert_true(all.at("cs_1").sessions[0].paid);
  all = session("evt_1", "unpaid");
  pass_to(all, kStart + 46 * kDay);
  assert_true(all.empty());
}

// --- what cost nothing -------------------------------------------------------

Sources gift(int n, Time at, const std::string& what,
             const std::string& customer = "") {
  std::string number = std::to_string(n);
  return test::sources_of(
      {test::session_event({"evt_" + number, at}, "completed",
                           {.id = "cs_" + number,
                            .customer = customer,
                            .payment_status = "no_payment_required",
                            .payment_link = "plink_" + what})});
}

void of_what_is_given_away_the_first_eight_stay(void**) {
  Sources all;
  for (int n = 100; n < 600; ++n) {
    merge(all, gift(n, kStart + n, "a", n % 2 ? "" : "cus_1"));
    forget_at(all, kStart + n);
  }
  assert_int_equal(all.size(), 8);
  assert_int_equal(all.count("cs_100"), 1);
  assert_int_equal(all.count("cs_107"), 1);
  merge(all, gift(5, kStart + 900, "b"));
  merge(all, gift(99, kStart + 99, "a"));  // late
  pass_to(all, kStart + 4000 * kDay);
  assert_int_equal(all.size(), 9);
  assert_int_equal(all.count("cs_5"), 1);
  assert_int_equal(all.count("cs_99"), 1);
  assert_int_equal(all.count("cs_107"), 0);
  // What is paid is no gift, whatever else is bought by the link.
  for (int n = 2000; n < 2100; ++n) {
    std::string number = std::to_string(n);
    merge(all, test::sources_of({test::session_event(
                   {"evt_" + number, kStart + n}, "completed",
                   {.id = "cs_" + number, .payment_link = "plink_a"})}));
  }
  pass_to(all, kStart + 4000 * kDay);
  assert_int_equal(all.size(), 109);
}

void a_deleted_customers_gifts_still_count_among_the_first(void**) {
  Sources gone = test::sources_of({test::customer_event(
      {"evt_gone", kStart + 50}, "deleted", "cus_1", "")});
  Sources early, late;
  merge(early, gone);
  for (int n = 100; n < 110; ++n) {
    for (Sources* all : {&early, &late}) {
      merge(*all, gift(n, kStart + n, "a", n < 108 ? "cus_1" : ""));
      forget_at(*all, kStart + n);
    }
  }
  merge(late, gone);
  pass_to(early, kStart + 900 * kDay);
  pass_to(late, kStart + 900 * kDay);
  assert_true(early == late);
  assert_int_equal(early.size(), 9);
}

// Told by the rule as docs/redis.md has it, over everything at once.
std::set<std::string> expected_gifts(const std::map<int, std::string>& given) {
  std::set<std::string> expected;
  std::map<char, int> before;
  for (const auto& [n, links] : given) {
    for (char link : links) {
      if (before[link]++ < 8) expected.insert("cs_" + std::to_string(n));
    }
  }
  return expected;
}

void gifts_are_forgotten_alike_in_any_order(void**) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    std::map<int, std::string>
        given;  // by when and number: what, a letter each
    std::vector<Sources> told;
    for (int n = 1000; n < 1060; ++n) {
      std::string what;
      for (char letter = 'a'; letter < 'f'; ++letter) {
        if (random() % 3 == 0) what += letter;
      }
      if (what.empty()) what = "z";
      given[n] = what;
      Sources one = gift(n, kStart + n, "x", random() % 2 ? "cus_1" : "");
      Source& source = one.begin()->second;
      SessionFact fact = source.sessions.front();
      fact.identifiers.clear();
      for (char letter : what) {
        fact.identifiers.push_back(
            *Identifier::parse(std::string("plink_") + letter));
      }
      source.sessions = {fact};
      told.push_back(one);
      if (random() % 4 == 0) told.push_back(one);
    }
    std::shuffle(told.begin(), told.end(), random);
    Sources records[2];
    for (const Sources& one : told) {
      Sources& record = records[random() % 2];
      merge(record, one);
      if (random() % 3 == 0) forget_at(record, kStart + 2000);
      if (random() % 20 == 0) merge(records[0], records[1]);
    }
    merge(records[0], records[1]);
    forget_at(records[0], kStart + 2000);
    std::set<std::string> found;
    for (const auto& [id, source] : records[0]) found.insert(id);
    assert_true(found == expected_gifts(given));
  }
}

void of_free_subscriptions_sessions_the_last_eight_stay_45_days(void**) {
  Sources all;
  for (int n = 100; n < 150; ++n) {
    std::string number = std::to_string(n);
    merge(all, test::sources_of({test::session_event(
                   {"evt_" + number, kStart + n}, "completed",
                   {.id = "cs_" + number,
                    .customer = "cus_" + number,
                    .mode = "subscription",
                    .payment_status = "no_payment_required",
                    .payment_link = "plink_a",
                    .subscription = "sub_" + number})}));
    forget_at(all, kStart + n);
  }
  assert_int_equal(all.size(), 8);
  assert_int_equal(all.count("cs_149"), 1);
  pass_to(all, kStart + 46 * kDay);
  assert_true(all.empty());
}

// Stripe told what it sells when it was completed, and not when it was paid.
void what_alone_says_what_was_bought_stays(void**) {
  auto session = [](std::string event, bool paid,
                    std::initializer_list<const char*> identifiers) {
    Sources sources = test::sources_of(
        {test::session_event({event, kStart}, "completed",
                             {.payment_status = paid ? "paid" : "unpaid",
                              .payment_intent = "pi_1"})});
    SessionFact fact = sources.at("cs_1").sessions.front();
    for (const char* one : identifiers) {
      fact.identifiers.push_back(*Identifier::parse(one));
    }
    sources.at("cs_1").sessions = {fact};
    return sources;
  };
  Sources all = session("evt_1", false, {"price_a"});
  merge(all, session("evt_2", true, {}));
  pass_to(all, kStart + 800 * kDay);
  assert_string_equal(
      test::joined(effective_identifiers(all, {}, unix_time(kStart))).c_str(),
      "price_a");
  merge(all, session("evt_3", true, {"price_a"}));
  pass_to(all, kStart + 801 * kDay);
  assert_int_equal(all.at("cs_1").sessions.size(), 2);
  assert_true(all.at("cs_1").sessions.back().paid);
  // What is in its metadata the paid one says anew.
  all = session("evt_1", false, {"metadata.plan=x"});
  merge(all, session("evt_2", true, {}));
  pass_to(all, kStart + 46 * kDay);
  assert_int_equal(all.at("cs_1").sessions.size(), 1);
}

// What a payment paid of an invoice says how much comes back with it.
void what_says_that_a_payment_paid_a_part_stays(void**) {
  for (int amount : {0, 4000, 10000}) {
    Sources all = test::sources_of(
        {test::invoice_event({"evt_1", kStart, test::Shape::before_basil},
                             "paid",
                             {.subscription = "",
                              .besides = {test::item("course", 0)},
                              .payment_intent = "pi_1",
                              .amount_paid = 10000}),
         test::invoice_payment_event({"evt_2", kStart}, "in_1", "pi_1",
                                     amount)});
    assert_int_equal(all.at("in_1").sessions.size(), 2);
    pass_to(all, kStart + 46 * kDay);
    assert_int_equal(all.at("in_1").sessions.size(), amount == 4000 ? 2 : 1);
  }
}

void a_grant_is_forgotten_400_days_after_its_end(void**) {
  Sources all;
  all["grant:x"].granted =
      Granted{unix_time(kStart), {*Identifier::parse("metadata=x")}};
  pass_to(all, kStart + 400 * kDay);
  assert_int_equal(all.size(), 1);
  pass_to(all, kStart + 401 * kDay);
  assert_true(all.empty());
}

void a_deleted_customer_is_remembered_and_what_was_theirs_goes(void**) {
  Sources all = purchase(1, kStart);
  merge(all, test::sources_of({test::customer_event({"evt_9", kStart},
                                                    "deleted", "cus_1", "")}));
  Sources kept = all;
  pass_to(kept, kStart + 400 * kDay);
  assert_true(kept == all);
  pass_to(kept, kStart + 401 * kDay);
  assert_int_equal(kept.size(), 1);
  assert_true(kept.at("cus_1").deleted.has_value());
  // A word on it that comes still later opens nothing.
  merge(kept, purchase(2, kStart + 500 * kDay));
  assert_true(project(kept).at(0).state == Projection::State::ended);
}

// Whatever it is; what was said after the deletion as long as that.
void each_kind_of_a_deleted_customers_facts_goes_in_its_time(void**) {
  for (Time after : {Time{-9}, Time{30}}) {
    const Time said = kStart + after * kDay;
    const test::Envelope event{"evt_1", said, test::Shape::before_basil};
    Subscription past_due{.items = {item("pro", said + 30 * kDay)}};
    past_due.status = "past_due";
    Subscription was = past_due;
    was.status = "active";
    auto cycle = [&](const char* id, std::vector<test::Item> items) {
      return test::invoice_event({id, said}, "paid",
                                 {.id = id,
                                  .items = std::move(items),
                                  .prorations = {item("seat", said)},
                                  .issued = said,
                                  .billing_reason = "subscription_cycle",
                                  .period_start = said - 30 * kDay,
                                  .period_end = said});
    };
    const test::Payment payment{.customer = "cus_1"};
    Sources all;
    for (const std::string& body :
         {test::subscription_event(event, "updated", past_due, &was),
          cycle("evt_2", {item("pro", said + 30 * kDay)}), cycle("evt_3", {}),
          test::session_event({"evt_4", said}, "completed",
                              {.payment_intent = "pi_1"}),
          test::charge_refunded_event({"evt_5", said}, payment, true),
          test::payment_event(
              {"evt_6", said},
              {.intent = "pi_2", .charge = "ch_2", .customer = "cus_1"}, "",
              "x"),
          test::summary_event({"evt_7", said}, "cus_1", {"gold"}, false)}) {
      merge(all, test::sources_of({body}));
    }
    all["pi_1"].disputes.insert(
        test::sources_of({test::dispute_event({"evt_8", said}, "created", {},
                                              "du_1", "lost")})
            .at("pi_1")
            .disputes.front());
    const Source& subscription = all.at("sub_1");
    assert_true(subscription.entered_past_due.has_value());
    assert_int_equal(subscription.invoices.size(), 1);
    assert_int_equal(subscription.renewals.size(), 1);
    assert_int_equal(subscription.keys.size(), 1);
    merge(all, test::sources_of({test::customer_event(
                   {"evt_9", kStart}, "deleted", "cus_1", "")}));

    const Time last = std::max(said, kStart);
    Sources kept = all;
    pass_to(kept, last + 400 * kDay);
    assert_true(kept == all);
    pass_to(kept, last + 401 * kDay);
    assert_int_equal(kept.size(), 1);
    Source only;
    only.place = "cus_1";
    only.deleted = all.at("cus_1").deleted;
    assert_true(kept.at("cus_1") == only);
  }
}

void more_than_200_are_not_too_many(void**) {
  Sources all;
  for (int n = 0; n < 250; ++n) merge(all, cancelled(kStart + n));
  for (int n = 0; n < 5000; ++n) merge(all, purchase(n, kStart));
  Sources kept = all;
  forget_at(kept, kStart + kDay);
  assert_true(kept == all);
  pass_to(kept, kStart + 40 * kDay);
  assert_true(kept == all);
}

void a_clock_that_is_ahead_forgets_nothing(void**) {
  Sources all = cancelled(kStart);
  merge(all, subscription(2, kStart, "active"));
  Sources kept = all;
  forget_at(kept, kStart + 4000 * kDay);
  assert_true(kept == all);
  // Nor one that is behind.
  merge(kept, subscription(3, kStart + 500 * kDay, "active"));
  merge(all, subscription(3, kStart + 500 * kDay, "active"));
  forget_at(kept, kStart);
  assert_true(kept == all);
}

void a_cut_list_is_remembered_until_a_whole_one(void**) {
  auto snapshot = [](int n, Time at, bool more) {
    Subscription sub{.id = "sub_1",
                     .items = {item("p" + std::to_string(n), at + 30 * kDay)}};
    sub.has_more = more;
    return test::sources_of({test::subscription_event(
        {"evt_" + std::to_string(n), at}, "updated", sub)});
  };
  Sources all = snapshot(1, kStart, false);
  merge(all, snapshot(2, kStart + kDay, true));
  Sources kept = all;
  pass_to(kept, kStart + 900 * kDay);
  assert_true(kept == all);
  merge(kept, snapshot(3, kStart + 901 * kDay, false));
  pass_to(kept, kStart + 901 * kDay);
  assert_int_equal(kept.at("sub_1").snapshots.size(), 1);
}

void what_a_later_version_said_is_not_forgotten(void**) {
  Sources all;
  all["cs_1"] = *Source::decode(
      R"({"sessions":[{"event":"e","created":5,"mode":"loan"}]})");
  all["cs_2"] = *Source::decode(
      R"({"place":"cus_1","credits":[{"event":"e","created":5}]})");
  Sources kept = all;
  pass_to(kept, kStart);
  assert_true(kept == all);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(
          what_ended_a_subscription_stays_and_the_rest_goes_after_45_days),
      cmocka_unit_test(an_older_event_does_not_open_what_ended),
      cmocka_unit_test(a_subscription_that_has_not_ended_stays),
      cmocka_unit_test(grace_does_not_begin_again),
      cmocka_unit_test(nor_where_the_event_that_began_it_was_lost),
      cmocka_unit_test(what_is_paid_for_ever_stays_with_its_refunds),
      cmocka_unit_test(a_refund_waits_45_days_for_its_purchase),
      cmocka_unit_test(what_was_not_paid_is_forgotten_after_45_days),
      cmocka_unit_test(of_what_is_given_away_the_first_eight_stay),
      cmocka_unit_test(a_deleted_customers_gifts_still_count_among_the_first),
      cmocka_unit_test(gifts_are_forgotten_alike_in_any_order),
      cmocka_unit_test(
          of_free_subscriptions_sessions_the_last_eight_stay_45_days),
      cmocka_unit_test(what_alone_says_what_was_bought_stays),
      cmocka_unit_test(what_says_that_a_payment_paid_a_part_stays),
      cmocka_unit_test(a_grant_is_forgotten_400_days_after_its_end),
      cmocka_unit_test(
          a_deleted_customer_is_remembered_and_what_was_theirs_goes),
      cmocka_unit_test(each_kind_of_a_deleted_customers_facts_goes_in_its_time),
      cmocka_unit_test(more_than_200_are_not_too_many),
      cmocka_unit_test(a_clock_that_is_ahead_forgets_nothing),
      cmocka_unit_test(a_cut_list_is_remembered_until_a_whole_one),
      cmocka_unit_test(what_a_later_version_said_is_not_forgotten),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
