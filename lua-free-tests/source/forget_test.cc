#include "core/source/forget.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/source/source.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

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
      cmocka_unit_test(a_grant_is_forgotten_400_days_after_its_end),
      cmocka_unit_test(
          a_deleted_customer_is_remembered_and_what_was_theirs_goes),
      cmocka_unit_test(more_than_200_are_not_too_many),
      cmocka_unit_test(a_clock_that_is_ahead_forgets_nothing),
      cmocka_unit_test(a_cut_list_is_remembered_until_a_whole_one),
      cmocka_unit_test(what_a_later_version_said_is_not_forgotten),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
