#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/source/source.h"

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <string>

#include "core/base/types.h"
#include "core/source/resolve.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Subscription;

namespace {

// A subscription's history, told in the true order, to be shuffled.
class History {
 public:
  explicit History(Subscription first) : now_(std::move(first)) {}

  History& created(test::Time at) { return add("created", at, nullptr); }
  template <class Change>
  History& updated(test::Time at, Change change) {
    Subscription before = now_;
    change(now_);
    return add("updated", at, &before);
  }
  History& said(std::string_view type, test::Time at) {
    return add(type, at, nullptr);
  }
  History& lose_last() {
    bodies_.pop_back();
    return *this;
  }
  std::vector<std::string>& bodies() { return bodies_; }

 private:
  History& add(std::string_view type, test::Time at,
               const Subscription* before) {
    // Ids fall while time goes by: they are no clock.
    std::string id = "evt_" + std::to_string(90 - bodies_.size());
    bodies_.push_back(test::subscription_event({id, at}, type, now_, before));
    return *this;
  }
  Subscription now_;
  std::vector<std::string> bodies_;
};

Subscription with_status(std::string status) {
  Subscription sub{.items = {item("pro", 5000)}};
  sub.status = std::move(status);
  return sub;
}

auto set_status(std::string status) {
  return [status](Subscription& sub) { sub.status = status; };
}

// The same for every order of delivery, or the test fails.
ResolvedSubscription settled(History& history) {
  std::vector<std::string> bodies = history.bodies();
  std::sort(bodies.begin(), bodies.end());
  std::optional<ResolvedSubscription> first;
  Sources expected;
  do {
    Sources all = test::sources_of(bodies);
    if (!first) {
      first = resolve(all.at("sub_1"));
      expected = all;
    }
    assert_true(all == expected);
  } while (std::next_permutation(bodies.begin(), bodies.end()));
  return *first;
}

void assert_settles(History& history, const char* status, bool ambiguous) {
  ResolvedSubscription resolved = settled(history);
  assert_string_equal(resolved.state.status.c_str(), status);
  assert_int_equal(resolved.ambiguous, ambiguous);
}

void created_comes_first_in_its_second(void**) {
  History h(with_status("incomplete"));
  h.created(10).updated(10, set_status("active"));
  assert_settles(h, "active", false);
}

void a_later_second_wins(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due"));
  h.updated(30, set_status("active"));
  assert_settles(h, "active", false);
}

void one_seconds_updates_are_put_in_order(void**) {
  History h(with_status("active"));
  h.created(10)
      .updated(20, set_status("past_due"))
      .updated(20, set_status("active"));
  assert_settles(h, "active", false);

  History back(with_status("active"));
  back.created(10)
      .updated(20, set_status("past_due"))
      .updated(20, set_status("active"))
      .updated(20, set_status("past_due"));
  assert_settles(back, "past_due", false);
}

void an_update_of_something_else_does_not_hide_the_order(void**) {
  // The note says nothing we compare: only that all else stayed as it was
  // tells that it came before, or after, the payment.
  auto note = [](Subscription& sub) { sub.note += "x"; };
  History before(with_status("incomplete"));
  before.created(10).updated(10, note).updated(10, set_status("active"));
  assert_settles(before, "active", false);

  History after(with_status("incomplete"));
  after.created(10).updated(10, set_status("active")).updated(10, note);
  assert_settles(after, "active", false);

  History late(with_status("active"));
  late.created(10).updated(20, set_status("past_due")).updated(20, note);
  assert_settles(late, "past_due", false);
}

void cancelled_and_undone_in_one_second(void**) {
  auto cancel = [](Subscription& sub) {
    sub.cancel_at = 5000;
    sub.cancel_at_period_end = true;
  };
  auto undo = [](Subscription& sub) {
    sub.cancel_at.reset();
    sub.cancel_at_period_end = false;
  };
  History h(with_status("active"));
  h.created(10).updated(20, cancel).updated(20, undo);
  assert_false(settled(h).state.cancel_at.has_value());
  assert_false(settled(h).ambiguous);

  // What was before that second never came: both orders fit.
  History unknown(with_status("active"));
  unknown.updated(20, cancel).updated(20, undo);
  assert_true(settled(unknown).ambiguous);
  assert_int_equal(to_unix(*settled(unknown).state.cancel_at), 5000);
}

void plans_and_names_of_one_second_are_put_in_order(void**) {
  auto plan = [](std::string p) {
    return [p](Subscription& sub) { sub.items = {item(p, 5000)}; };
  };
  auto names = [](std::string n) {
    return [n](Subscription& sub) { sub.names = n; };
  };
  History h(with_status("active"));
  h.created(10).updated(20, plan("team")).updated(20, names("beta"));
  h.updated(20, plan("pro")).updated(20, names(""));
  ResolvedSubscription resolved = settled(h);
  assert_false(resolved.ambiguous);
  assert_string_equal(test::joined(resolved.state.identifiers).c_str(),
                      "lookup_key=pro_key price_pro prod_pro");
}

void of_what_cannot_be_known_the_least_is_taken(void**) {
  // The first of three is lost: the others do not begin where we know.
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due")).lose_last();
  h.updated(20, set_status("unpaid")).updated(20, set_status("active"));
  assert_settles(h, "unpaid", true);
}

// By status before all else, whatever else they say.
void past_due_is_less_than_active_and_more_than_unpaid(void**) {
  auto resolved = [](std::vector<std::pair<const char*, test::Time>> updates) {
    std::vector<std::string> bodies;
    int n = 90;
    for (auto [status, end] : updates) {
      Subscription sub = with_status(status);
      sub.items[0].period_end = end;
      bodies.push_back(test::subscription_event(
          {"evt_" + std::to_string(n++), 20}, "updated", sub));
    }
    return *resolve(test::sources_of(bodies).at("sub_1"));
  };
  for (bool active_ends_first : {true, false}) {
    test::Time first = 5000, second = 6000;
    if (!active_ends_first) std::swap(first, second);
    ResolvedSubscription least =
        resolved({{"active", first}, {"past_due", second}});
    assert_string_equal(least.state.status.c_str(), "past_due");
    assert_true(least.ambiguous);
    least = resolved({{"past_due", first}, {"unpaid", second}});
    assert_string_equal(least.state.status.c_str(), "unpaid");
    least = resolved({{"trialing", first}, {"past_due", second}});
    assert_string_equal(least.state.status.c_str(), "past_due");
  }
}

// What changed the tags was lost: those that came later follow one another all
// the same.
void a_lost_change_of_tags_does_not_hide_the_order(void**) {
  History h(with_status("active"));
  h.created(10)
      .updated(20, [](Subscription& sub) { sub.note = "gold"; })
      .lose_last();
  h.updated(20, set_status("past_due")).updated(20, set_status("active"));
  assert_settles(h, "active", false);
}

// Nor does what changed nothing that is kept say where it stands, then.
void tags_that_nothing_explains_leave_the_order_in_doubt(void**) {
  History h(with_status("active"));
  h.created(10)
      .updated(20, [](Subscription& sub) { sub.note = "gold"; })
      .lose_last();
  h.updated(20, [](Subscription&) {}).updated(20, set_status("past_due"));
  assert_settles(h, "past_due", true);
}

// Two of one second that say the same are no doubt.
void doubt_about_the_beginning_stays_until_a_later_second(void**) {
  Subscription active = with_status("active"),
               past_due = with_status("past_due");
  auto body = [](const char* id, test::Time at, const Subscription& sub) {
    return test::subscription_event({id, at}, "updated", sub);
  };
  auto ambiguous = [](std::vector<std::string> bodies) {
    return resolve(test::sources_of(bodies).at("sub_1"))->ambiguous;
  };
  const std::string a = body("evt_1", 20, active),
                    b = body("evt_2", 20, active),
                    c = body("evt_3", 20, past_due);
  assert_false(ambiguous({a}));
  assert_false(ambiguous({a, b}));
  assert_true(ambiguous({a, c}));
  // Twice the same after that, and the doubt has an end only by one alone.
  const std::string d = body("evt_4", 30, active),
                    e = body("evt_5", 30, active);
  assert_true(ambiguous({a, c, d, e}));
  assert_false(ambiguous({a, c, d}));
}

void a_later_single_update_ends_all_doubt(void**) {
  auto cancel = [](Subscription& sub) { sub.cancel_at = 5000; };
  auto undo = [](Subscription& sub) { sub.cancel_at.reset(); };
  History h(with_status("active"));
  h.updated(20, cancel).updated(20, undo);
  assert_true(settled(h).ambiguous);
  h.updated(21, set_status("past_due"));
  assert_settles(h, "past_due", false);
}

void a_full_second_whose_start_is_lost_is_flagged(void**) {
  History h(with_status("active"));
  h.created(10);
  for (int n = 0; n < 10; ++n) {
    h.updated(20, set_status(n % 2 ? "active" : "past_due"));
  }
  Sources all = test::sources_of(h.bodies());
  assert_int_equal(all.at("sub_1").snapshots.size(), Snapshot::kBound);
  assert_true(resolve(all.at("sub_1"))->ambiguous);
}

// Of the oldest second the beginning may be lost, so what came next is
// doubtful.
void what_follows_the_oldest_of_many_is_flagged(void**) {
  History h(with_status("active"));
  for (std::size_t n = 1; n <= Snapshot::kBound; ++n) {
    h.updated(n == 1 ? 19 : 20,
              [&](Subscription& sub) { sub.note = std::to_string(n); });
  }
  assert_true(resolve(test::sources_of(h.bodies()).at("sub_1"))->ambiguous);
}

// All that is left of it is in order, but it may have begun before.
void a_full_second_in_order_is_flagged_until_a_later_one(void**) {
  History h(with_status("active"));
  auto ambiguous = [&] {
    return resolve(test::sources_of(h.bodies()).at("sub_1"))->ambiguous;
  };
  for (std::size_t n = 1; n <= Snapshot::kBound; ++n) {
    h.updated(20, [&](Subscription& sub) { sub.note = std::to_string(n); });
    assert_int_equal(ambiguous(), n == Snapshot::kBound);
  }
  h.updated(21, [](Subscription& sub) { sub.note = "last"; });
  assert_false(ambiguous());
}

void a_notice_never_overrides_an_update_of_its_second(void**) {
  History h(with_status("trialing"));
  h.created(10).said("trial_will_end", 20).updated(20, set_status("active"));
  assert_settles(h, "active", false);

  // Even one that was rendered before, or differs in ways nobody explains.
  Subscription stale = with_status("past_due");
  stale.cancel_at = 99;
  History odd(with_status("trialing"));
  odd.created(10).updated(20, set_status("active"));
  odd.bodies().push_back(
      test::subscription_event({"evt_99", 20}, "trial_will_end", stale));
  assert_settles(odd, "active", false);

  History alone(with_status("trialing"));
  alone.created(10).updated(20, set_status("active"));
  alone.said("pending_update_expired", 30);
  assert_settles(alone, "active", false);
}

// What Stripe's API told at that time.
Source told(std::string status, test::Time at) {
  Snapshot snapshot;
  snapshot.event = "api_sub_1";
  snapshot.type = SnapshotType::told;
  snapshot.created = unix_time(at);
  snapshot.state.status = std::move(status);
  Source source;
  source.place = "cus_1";
  source.snapshots.insert(std::move(snapshot));
  return source;
}

std::string status_of(const Source& source) {
  std::optional<Source> stored = Source::decode(source.encode());
  assert_true(stored && *stored == source);
  return resolve(source)->state.status;
}

void what_was_told_counts_until_an_event_of_that_second(void**) {
  History h(with_status("active"));
  h.created(10);
  Source source = test::sources_of(h.bodies()).at("sub_1");
  source.merge(told("past_due", 20));
  assert_string_equal(status_of(source).c_str(), "past_due");

  for (const char* type : {"updated", "trial_will_end", "created"}) {
    History of_second(with_status("active"));
    of_second.created(10).said(type, 20);
    Source both = test::sources_of(of_second.bodies()).at("sub_1");
    both.merge(told("past_due", 20));
    assert_string_equal(status_of(both).c_str(), "active");
    assert_false(resolve(both)->ambiguous);
    both.merge(told("past_due", 21));
    assert_string_equal(status_of(both).c_str(), "past_due");
  }
  assert_string_equal(status_of(told("active", 20)).c_str(), "active");
}

void what_was_told_to_be_over_is_over(void**) {
  History h(with_status("active"));
  h.created(10).updated(30, set_status("active"));
  Source source = test::sources_of(h.bodies()).at("sub_1");
  source.merge(told("canceled", 20));
  assert_true(resolve(source)->ended);
}

void nothing_comes_after_the_end(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, [](Subscription& sub) {
    sub.status = "canceled";
    sub.ended_at = 20;
  });
  h.said("deleted", 20).updated(20, set_status("active"));
  h.updated(90, set_status("active"));
  ResolvedSubscription resolved = settled(h);
  assert_true(resolved.ended);
  assert_false(resolved.ambiguous);
}

void no_event_is_needed_but_an_invoice(void**) {
  Sources all = test::sources_of({test::invoice_event(
      {"evt_1", 10}, "paid", {.items = {item("pro", 5000)}})});
  ResolvedSubscription resolved = *resolve(all.at("sub_1"));
  assert_string_equal(resolved.state.status.c_str(), "active");
  assert_int_equal(to_unix(*resolved.state.period_end), 5000);
  assert_string_equal(test::joined(resolved.state.identifiers).c_str(),
                      "price_pro prod_pro");
}

// --- invoices and snapshots ---------------------------------------------

ResolvedSubscription with_invoice(const Subscription& sub, test::Time said,
                                  test::Time paid, test::Time until,
                                  const std::string& price = "pro") {
  Sources all = test::sources_of(
      {test::subscription_event({"evt_1", said}, "updated", sub),
       test::invoice_event({"evt_2", paid}, "paid",
                           {.items = {item(price, until)}})});
  return *resolve(all.at("sub_1"));
}

void a_newer_invoice_extends_the_period_and_nothing_else(void**) {
  Subscription sub = with_status("active");
  assert_int_equal(to_unix(*with_invoice(sub, 100, 100, 9000).state.period_end),
                   9000);
  assert_int_equal(to_unix(*with_invoice(sub, 100, 200, 4000).state.period_end),
                   5000);
  ResolvedSubscription resolved = with_invoice(sub, 100, 200, 9000);
  assert_string_equal(test::joined(resolved.state.identifiers).c_str(),
                      "lookup_key=pro_key price_pro prod_pro");
  sub.status = "past_due";
  assert_string_equal(with_invoice(sub, 100, 200, 9000).state.status.c_str(),
                      "past_due");
}

void an_invoice_for_another_price_extends_only_what_ended_as_it_began(void**) {
  // A plan that no event has told: whoever paid for it keeps what is known.
  Subscription sub = with_status("active");
  ResolvedSubscription resolved = with_invoice(sub, 100, 5000, 9000, "other");
  assert_int_equal(to_unix(*resolved.state.period_end), 9000);
  assert_string_equal(test::joined(resolved.state.identifiers).c_str(),
                      "lookup_key=pro_key price_pro prod_pro");
  // Of an item that came in the middle it says nothing.
  resolved = with_invoice(sub, 100, 2000, 9000, "other");
  assert_int_equal(to_unix(*resolved.state.period_end), 5000);
}

void an_older_invoice_does_not_undo_a_shorter_period(void**) {
  // From yearly to monthly: the year was paid before.
  Subscription monthly = with_status("active");
  assert_int_equal(
      to_unix(*with_invoice(monthly, 100, 99, 90000).state.period_end), 5000);
}

void a_paid_trial_goes_on(void**) {
  Subscription sub = with_status("trialing");
  sub.trial_end = 5000;
  assert_int_equal(to_unix(*with_invoice(sub, 100, 5001, 9000).state.trial_end),
                   9000);
  assert_int_equal(to_unix(*with_invoice(sub, 100, 100, 5000).state.trial_end),
                   5000);
}

// --- past due --------------------------------------------------------------

test::Time since(History& history) {
  return to_unix(*settled(history).past_due_since);
}

void past_due_counts_from_when_it_began(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due"));
  assert_int_equal(since(h), 20);
  for (int n = 0; n < 3; ++n) {
    h.updated(30 + n, [](Subscription& sub) { sub.note += "reminder"; });
  }
  assert_int_equal(since(h), 20);
}

void many_reminders_do_not_let_it_slide(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due"));
  for (int n = 0; n < 20; ++n) {
    h.updated(30 + n, [](Subscription& sub) { sub.note += "reminder"; });
  }
  std::vector<std::string> bodies = h.bodies();
  Sources forward = test::sources_of(bodies);
  std::reverse(bodies.begin(), bodies.end());
  assert_true(forward == test::sources_of(bodies));
  assert_int_equal(to_unix(*resolve(forward.at("sub_1"))->past_due_since), 20);
}

void a_second_time_past_due_counts_anew(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due"));
  h.updated(30, set_status("active")).updated(40, set_status("past_due"));
  assert_int_equal(since(h), 40);
}

void past_due_whose_beginning_was_lost_counts_from_the_first_seen(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due"));
  h.updated(30, set_status("active"));
  h.updated(40, set_status("past_due")).lose_last();
  h.updated(50, [](Subscription& sub) { sub.note = "a"; });
  h.updated(60, [](Subscription& sub) { sub.note = "b"; });
  assert_int_equal(since(h), 50);
}

// In both directions, since there are too many for all orders.
ResolvedSubscription either_way(std::vector<std::string> bodies) {
  Sources forward = test::stored(test::sources_of(bodies));
  std::reverse(bodies.begin(), bodies.end());
  assert_true(forward == test::stored(test::sources_of(bodies)));
  return *resolve(forward.at("sub_1"));
}

void a_lost_beginning_does_not_let_past_due_slide(void**) {
  History h(with_status("active"));
  h.created(10).updated(20, set_status("past_due")).lose_last();
  std::optional<UnixTime> first;
  for (int n = 0; n < 30; ++n) {
    h.updated(30 + n, [](Subscription& sub) { sub.note += "reminder"; });
    UnixTime since = *either_way(h.bodies()).past_due_since;
    if (first) assert_true(since <= *first);
    first = since;
  }
  assert_int_equal(to_unix(*first), 10);

  // An endpoint that is younger than all of it counts from what it saw first.
  History young(with_status("past_due"));
  for (int n = 0; n < 30; ++n) {
    young.updated(30 + n, [](Subscription& sub) { sub.note += "reminder"; });
  }
  assert_int_equal(to_unix(*either_way(young.bodies()).past_due_since), 30);
}

void created_past_due_counts_from_there(void**) {
  History h(with_status("past_due"));
  h.created(10).updated(20, [](Subscription& sub) { sub.note = "a"; });
  assert_int_equal(since(h), 10);
}

// --- cut lists ---------------------------------------------------------------

void a_cut_list_loses_no_item_known_before(void**) {
  Subscription sub = with_status("active");
  for (int n = 0; n < 11; ++n) {
    sub.items.push_back(item("i" + std::to_string(n), 5000));
  }
  History h(sub);
  h.created(10).updated(20, [](Subscription& now) {
    now.has_more = true;  // from here on ten are listed
    now.note = "x";
  });
  std::string all = test::joined(settled(h).state.identifiers);
  assert_int_not_equal(all.find("price_i10"), std::string::npos);
  assert_true(settled(h).state.more_items);

  // A whole list says what is gone.
  h.updated(30, [](Subscription& now) {
    now.has_more = false;
    now.items = {item("pro", 5000)};
  });
  assert_string_equal(test::joined(settled(h).state.identifiers).c_str(),
                      "lookup_key=pro_key metadata.note=x price_pro prod_pro");
}

void cut_lists_do_not_push_out_the_last_whole_one(void**) {
  Subscription sub = with_status("active");
  for (int n = 0; n < 10; ++n) {
    sub.items.push_back(item("i" + std::to_string(n), 5000));
  }
  History h(sub);
  h.created(10);  // eleven, all told
  for (int n = 0; n < 30; ++n) {
    h.updated(20 + n, [](Subscription& now) {
      now.has_more = true;
      now.note += "x";
    });
  }
  ResolvedSubscription resolved = either_way(h.bodies());
  assert_int_not_equal(
      test::joined(resolved.state.identifiers).find("price_i9"),
      std::string::npos);
  assert_true(resolved.state.more_items);
}

void a_whole_list_in_between_ends_what_was_before_it(void**) {
  Subscription sub = with_status("active");
  sub.items.push_back(item("gone", 5000));
  History h(sub);
  h.created(10).updated(20, [](Subscription& now) { now.items.pop_back(); });
  h.updated(30, [](Subscription& now) {
    now.has_more = true;
    for (int n = 0; n < 10; ++n) {
      now.items.insert(now.items.begin(), item("i" + std::to_string(n), 5000));
    }
  });
  std::string all = test::joined(settled(h).state.identifiers);
  assert_int_not_equal(all.find("price_pro"), std::string::npos);
  assert_int_equal(all.find("price_gone"), std::string::npos);
}

// --- features ----------------------------------------------------------------

std::string summary(std::string event, test::Time at,
                    std::vector<std::string> features, bool has_more,
                    std::vector<std::string> previous) {
  return test::summary_event({event, at}, "cus_1", features, has_more,
                             &previous);
}

std::string features_of(std::vector<std::string> bodies, bool ambiguous) {
  std::sort(bodies.begin(), bodies.end());
  std::string first;
  do {
    Sources all = test::sources_of(bodies);
    ResolvedFeatures features = *resolve_features(all.at("cus_1"));
    std::string text = test::joined(features.identifiers);
    if (first.empty()) first = text;
    assert_string_equal(text.c_str(), first.c_str());
    assert_int_equal(features.ambiguous, ambiguous);
  } while (std::next_permutation(bodies.begin(), bodies.end()));
  return first;
}

void summaries_of_one_second_are_put_in_order(void**) {
  assert_string_equal(
      features_of({summary("evt_3", 10, {"a"}, false, {}),
                   summary("evt_2", 10, {"a", "b"}, false, {"a"}),
                   summary("evt_1", 10, {"b"}, false, {"a", "b"})},
                  false)
          .c_str(),
      "feature=b");
}

void of_summaries_without_order_the_least_is_taken(void**) {
  assert_string_equal(
      features_of({summary("evt_1", 10, {"a"}, false, {"a", "b"}),
                   summary("evt_2", 10, {"a", "b"}, false, {"a"})},
                  true)
          .c_str(),
      "feature=a");
}

void incomplete_summaries_add_and_complete_ones_replace(void**) {
  assert_string_equal(features_of({summary("evt_1", 10, {"a"}, false, {}),
                                   summary("evt_2", 20, {"b"}, true, {}),
                                   summary("evt_3", 30, {"c"}, true, {})},
                                  false)
                          .c_str(),
                      "feature=a feature=b feature=c");
  assert_string_equal(features_of({summary("evt_1", 10, {"a"}, true, {}),
                                   summary("evt_2", 20, {"b"}, false, {})},
                                  false)
                          .c_str(),
                      "feature=b");
}

// transfer_lookup_key: the price's next event no longer names the key.
void a_lookup_key_stays_with_the_price_it_was_bought_with(void**) {
  History history(with_status("active"));
  history.created(100).updated(200, [](Subscription& sub) {
    sub.items[0].lookup_key = "";
    sub.items[0].period_end = 6000;
  });
  assert_string_equal(test::joined(settled(history).state.identifiers).c_str(),
                      "lookup_key=pro_key price_pro prod_pro");
  // With another price the key goes, too.
  history.updated(300, [](Subscription& sub) {
    sub.items[0] = {"price_new", "prod_pro", "", 6000};
  });
  assert_string_equal(test::joined(settled(history).state.identifiers).c_str(),
                      "price_new prod_pro");
}

void tags_of_one_second_are_put_in_order(void**) {
  History history(with_status("active"));
  history.created(100)
      .updated(200, [](Subscription& sub) { sub.note = "silver"; })
      .updated(200, [](Subscription& sub) { sub.note = "gold"; })
      .updated(200, [](Subscription& sub) { sub.note = "iron"; });
  ResolvedSubscription resolved = settled(history);
  assert_false(resolved.ambiguous);
  assert_string_equal(test::joined(resolved.state.identifiers).c_str(),
                      "lookup_key=pro_key metadata.note=iron price_pro "
                      "prod_pro");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_lookup_key_stays_with_the_price_it_was_bought_with),
      cmocka_unit_test(tags_of_one_second_are_put_in_order),
      cmocka_unit_test(created_comes_first_in_its_second),
      cmocka_unit_test(a_later_second_wins),
      cmocka_unit_test(one_seconds_updates_are_put_in_order),
      cmocka_unit_test(an_update_of_something_else_does_not_hide_the_order),
      cmocka_unit_test(cancelled_and_undone_in_one_second),
      cmocka_unit_test(plans_and_names_of_one_second_are_put_in_order),
      cmocka_unit_test(of_what_cannot_be_known_the_least_is_taken),
      cmocka_unit_test(past_due_is_less_than_active_and_more_than_unpaid),
      cmocka_unit_test(a_lost_change_of_tags_does_not_hide_the_order),
      cmocka_unit_test(tags_that_nothing_explains_leave_the_order_in_doubt),
      cmocka_unit_test(doubt_about_the_beginning_stays_until_a_later_second),
      cmocka_unit_test(a_later_single_update_ends_all_doubt),
      cmocka_unit_test(a_full_second_whose_start_is_lost_is_flagged),
      cmocka_unit_test(what_follows_the_oldest_of_many_is_flagged),
      cmocka_unit_test(a_full_second_in_order_is_flagged_until_a_later_one),
      cmocka_unit_test(a_notice_never_overrides_an_update_of_its_second),
      cmocka_unit_test(what_was_told_counts_until_an_event_of_that_second),
      cmocka_unit_test(what_was_told_to_be_over_is_over),
      cmocka_unit_test(nothing_comes_after_the_end),
      cmocka_unit_test(no_event_is_needed_but_an_invoice),
      cmocka_unit_test(a_newer_invoice_extends_the_period_and_nothing_else),
      cmocka_unit_test(
          an_invoice_for_another_price_extends_only_what_ended_as_it_began),
      cmocka_unit_test(an_older_invoice_does_not_undo_a_shorter_period),
      cmocka_unit_test(a_paid_trial_goes_on),
      cmocka_unit_test(past_due_counts_from_when_it_began),
      cmocka_unit_test(many_reminders_do_not_let_it_slide),
      cmocka_unit_test(a_second_time_past_due_counts_anew),
      cmocka_unit_test(
          past_due_whose_beginning_was_lost_counts_from_the_first_seen),
      cmocka_unit_test(a_lost_beginning_does_not_let_past_due_slide),
      cmocka_unit_test(created_past_due_counts_from_there),
      cmocka_unit_test(a_cut_list_loses_no_item_known_before),
      cmocka_unit_test(cut_lists_do_not_push_out_the_last_whole_one),
      cmocka_unit_test(a_whole_list_in_between_ends_what_was_before_it),
      cmocka_unit_test(summaries_of_one_second_are_put_in_order),
      cmocka_unit_test(of_summaries_without_order_the_least_is_taken),
      cmocka_unit_test(incomplete_summaries_add_and_complete_ones_replace),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
