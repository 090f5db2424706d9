// Until when what was paid for is given, as docs/stripe.md says it: each
// identifier until its own end, and never later than a cancellation. Once with
// prices, once with plans, once with plans whose ids their shop chose.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/access/access.h"

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::Invoice;
using test::Item;
using test::item;
using test::Shape;
using test::Subscription;
using test::Time;

namespace {

constexpr Time kHour = 3600, kDay = 24 * kHour, kGrace = 72 * kHour;
constexpr Time kStart = 1'767'225'600;  // 2026-01-01
constexpr Time kFebruary = kStart + 31 * kDay, kMarch = kFebruary + 28 * kDay,
               kApril = kMarch + 31 * kDay, kYear = kStart + 365 * kDay;
constexpr Shape kShapes[] = {Shape::before_basil, Shape::basil};

using Bodies = std::vector<std::string>;

// How price_<p> is called instead, by Stripe and in a grant.
enum class Naming { price, plan, chosen };
Naming naming = Naming::price;

std::string in_stripe(const std::string& p) {
  return naming == Naming::plan ? "plan_" + p : p + "8usd";
}
std::string in_grant(const std::string& identifier) {
  if (naming == Naming::price || !identifier.starts_with("price_")) {
    return identifier;
  }
  std::string id = in_stripe(identifier.substr(6));
  return naming == Naming::plan ? id : "price=" + id;
}

void replace_all(std::string& text, const std::string& from,
                 const std::function<std::string(std::string)>& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
    std::size_t end = text.find('"', at + from.size());
    std::string now = to(text.substr(at + from.size(), end - at - from.size()));
    text.replace(at, end - at, now);
    at += now.size();
  }
}

// An event as it would be of such a shop. Before there were prices, there was
// `plan` where `price` is now.
std::string renamed(std::string body) {
  if (naming == Naming::price) return body;
  replace_all(body, "\"price_", [](std::string p) {
    return '"' + (p == "details" ? "price_" + p : in_stripe(p));
  });
  if (naming == Naming::plan) {
    replace_all(body, "\"price\":{",
                [](std::string rest) { return "\"plan\":{" + rest; });
  }
  return body;
}

// Until when an identifier is given; 0: it is not, at any time worth a look.
Time until(const Bodies& bodies, const std::string& identifier, Time now,
           const Policy& policy = {}) {
  Time latest = 0;
  for (const Projection& one :
       project(test::stored(test::sources_of(bodies)))) {
    Verdict verdict = judge(one, policy, unix_time(now));
    std::vector<std::string> all = test::texts(one.identifiers);
    if (!verdict.effective ||
        std::find(all.begin(), all.end(), identifier) == all.end()) {
      continue;
    }
    latest = std::max(latest, to_unix(verdict.until));
  }
  return latest;
}

// In any order of delivery.
void assert_until(Bodies bodies, const std::string& name, Time now,
                  Time expected, const Policy& policy = {}) {
  const std::string identifier = in_grant(name);
  std::transform(bodies.begin(), bodies.end(), bodies.begin(), renamed);
  std::sort(bodies.begin(), bodies.end());
  int left = 200;
  do {
    Time found = until(bodies, identifier, now, policy);
    if (found != expected) {
      fail_msg("%s at day %.2f: until day %.2f, not %.2f", identifier.c_str(),
               static_cast<double>(now - kStart) / kDay,
               static_cast<double>(found - kStart) / kDay,
               static_cast<double>(expected - kStart) / kDay);
    }
  } while (--left > 0 && std::next_permutation(bodies.begin(), bodies.end()));
}

Item paid_for(const std::string& p, Time start, Time end) {
  Item one = item(p, end);
  one.period_start = start;
  return one;
}

int next_event = 0;
test::Envelope at(Time created, Shape shape) {
  return {"evt_" + std::to_string(1000 + next_event++), created, shape};
}

// An invoice of a cycle that began `issued`.
std::string invoice(Time issued, Shape shape, std::vector<Item> items,
                    const std::function<void(Invoice&)>& change = {}) {
  Invoice one{.id = "in_" + std::to_string(next_event),
              .items = std::move(items),
              .issued = issued};
  if (change) change(one);
  return test::invoice_event(at(issued + kHour, shape), "payment_succeeded",
                             one);
}

std::string told(Time when, Shape shape, const Subscription& sub,
                 std::string_view type = "updated") {
  return test::subscription_event(at(when, shape), type, sub);
}

// --- both bounds ------------------------------------------------------------

void cancel_at_in_eleven_months_does_not_outlast_the_month(void**) {
  for (Shape shape : kShapes) {
    Subscription sub{.items = {item("pro", kFebruary)}};
    sub.cancel_at = kStart + 330 * kDay;
    Bodies bodies = {told(kStart, shape, sub)};
    assert_until(bodies, "price_pro", kStart, kFebruary + kGrace);
    assert_until(bodies, "price_pro", kFebruary + kGrace, 0);
    // What is renewed goes on, and ends sharp in the end.
    bodies.push_back(
        invoice(kFebruary, shape, {paid_for("pro", kFebruary, kYear)}));
    assert_until(bodies, "price_pro", kMarch, kStart + 330 * kDay);
    assert_until(bodies, "price_pro", kStart + 330 * kDay, 0);
  }
}

void a_cancellation_within_the_grace_counts(void**) {
  for (Shape shape : kShapes) {
    Subscription sub{.items = {item("pro", kFebruary)}};
    sub.cancel_at = kFebruary + kDay;
    assert_until({told(kStart, shape, sub)}, "price_pro", kStart,
                 kFebruary + kDay);
  }
}

// --- each identifier by itself ----------------------------------------------

void items_end_each_at_its_own_time(void**) {
  Subscription sub{.items = {item("base", kYear), item("addon", kFebruary)},
                   .names = "vip"};
  Bodies bodies = {told(kStart, Shape::basil, sub)};
  assert_until(bodies, "price_base", kStart, kYear + kGrace);
  for (const char* of_addon :
       {"price_addon", "prod_addon", "lookup_key=addon_key"}) {
    assert_until(bodies, of_addon, kStart, kFebruary + kGrace);
    assert_until(bodies, of_addon, kFebruary + kGrace, 0);
  }
  assert_until(bodies, "metadata=vip", kMarch, kYear + kGrace);
  // Before basil there was one period for all.
  bodies = {told(kStart, Shape::before_basil, sub)};
  assert_until(bodies, "price_addon", kMarch, kYear + kGrace);
}

// Ten of a yearly base and eleven monthly add-ons.
Subscription cut_list(Time month) {
  Subscription sub{.items = {item("base", kYear)}, .has_more = true};
  for (int n = 0; n < 11; ++n) {
    sub.items.push_back(item("a" + std::to_string(n), month));
  }
  return sub;
}

void what_a_cut_list_shows_ends_as_it_says(void**) {
  Bodies bodies = {told(kStart, Shape::basil, cut_list(kFebruary)),
                   told(kFebruary, Shape::basil, cut_list(kMarch))};
  assert_until(bodies, "price_base", kApril, kYear + kGrace);
  assert_until(bodies, "price_a0", kFebruary + kHour, kMarch + kGrace);
  assert_until(bodies, "price_a0", kMarch + kGrace, 0);
}

void what_a_cut_list_does_not_show_goes_on_with_the_others(void**) {
  Subscription first = cut_list(kFebruary), second = cut_list(kMarch);
  second.items.erase(second.items.begin() + 1);  // a0; and a9 is shown now
  second.items.push_back(item("a0", kMarch));
  Bodies bodies = {told(kStart, Shape::basil, first),
                   told(kFebruary, Shape::basil, second),
                   told(kMarch, Shape::basil, second)};
  assert_until(bodies, "price_a0", kFebruary + kHour, kYear + kGrace);
  assert_until(bodies, "price_a9", kFebruary + kHour, kMarch + kGrace);
}

void a_product_in_two_items_ends_with_the_last(void**) {
  Subscription sub{.items = {item("base", kYear), item("seat", kFebruary)}};
  sub.items[1].product = "prod_base";
  assert_until({told(kStart, Shape::basil, sub)}, "prod_base", kMarch,
               kYear + kGrace);
}

void a_monthly_addons_invoice_says_nothing_of_the_yearly_base(void**) {
  for (Shape shape : kShapes) {
    Bodies alone = {
        invoice(kStart, shape,
                {paid_for("base", kStart, kYear),
                 paid_for("addon", kStart, kFebruary)}),
        invoice(kFebruary, shape, {paid_for("addon", kFebruary, kMarch)})};
    assert_until(alone, "price_base", kMarch, kYear + kGrace);
    assert_until(alone, "price_addon", kMarch, kMarch + kGrace);
    assert_until(alone, "price_addon", kMarch + kGrace, 0);
  }
  Subscription sub{.items = {item("base", kYear), item("addon", kFebruary)}};
  Bodies both = {
      told(kStart, Shape::basil, sub, "created"),
      invoice(kFebruary, Shape::basil, {paid_for("addon", kFebruary, kMarch)})};
  assert_until(both, "price_base", kApril, kYear + kGrace);
  assert_until(both, "lookup_key=addon_key", kMarch, kMarch + kGrace);
}

void an_addon_paid_once_does_not_stay_for_the_year(void**) {
  for (Shape shape : kShapes) {
    Bodies bodies = {invoice(kStart, shape,
                             {paid_for("base", kStart, kYear),
                              paid_for("addon", kStart, kFebruary)})};
    assert_until(bodies, "price_base", kMarch, kYear + kGrace);
    assert_until(bodies, "price_addon", kStart, kFebruary + kGrace);
    assert_until(bodies, "price_addon", kFebruary + kGrace, 0);
  }
}

void the_renewed_base_does_not_take_the_addon_along(void**) {
  // Both ended together, and the add-on was dropped; its event is lost.
  Subscription sub{
      .items = {item("base", kFebruary), item("addon", kFebruary)}};
  Bodies bodies = {
      told(kStart, Shape::basil, sub),
      invoice(kFebruary, Shape::basil, {paid_for("base", kFebruary, kYear)})};
  assert_until(bodies, "lookup_key=base_key", kMarch, kYear + kGrace);
  assert_until(bodies, "lookup_key=addon_key", kFebruary, kFebruary + kGrace);
}

void a_threshold_invoice_ends_no_base(void**) {
  for (Shape shape : kShapes) {
    const Time tenth = kStart + 10 * kDay;
    auto threshold = [](Invoice& one) {
      one.billing_reason = "subscription_threshold";
    };
    Bodies bodies = {
        invoice(kStart, shape,
                {paid_for("base", kStart, kFebruary),
                 paid_for("metered", kStart - 31 * kDay, kStart)}),
        invoice(tenth, shape, {paid_for("metered", kStart, tenth)}, threshold)};
    assert_until(bodies, "price_base", tenth + kDay, kFebruary + kGrace);
    assert_until(bodies, "price_metered", tenth + kDay, kFebruary + kGrace);
    // Even where it shows the base's own price.
    bodies[1] = invoice(tenth, shape, {paid_for("base", kStart, tenth)});
    assert_until(bodies, "price_base", tenth + kDay, kFebruary + kGrace);
  }
}

// --- three events are enough ------------------------------------------------

void a_metered_plan_is_paid_in_arrears(void**) {
  for (Shape shape : kShapes) {
    // The first invoice is for no use at all, and charges nothing.
    Bodies bodies = {
        invoice(kFebruary, shape, {paid_for("metered", kStart, kFebruary)})};
    assert_until(bodies, "price_metered", kFebruary + kHour, kMarch + kGrace);
    bodies.push_back(
        invoice(kMarch, shape, {paid_for("metered", kFebruary, kMarch)}));
    assert_until(bodies, "price_metered", kMarch + kHour, kApril + kGrace);
  }
}

void ten_prorations_hide_the_plan_and_it_goes_on(void**) {
  for (Shape shape : kShapes) {
    auto hidden = [](Time start, Time end) {
      return [start, end](Invoice& one) {
        one.billing_reason = "subscription_cycle";
        one.period_start = start;
        one.period_end = end;
        one.prorations.assign(10, paid_for("seat", start, end));
        one.has_more = true;
      };
    };
    Bodies bodies = {
        invoice(kStart, shape, {paid_for("pro", kStart, kFebruary)}),
        invoice(kFebruary, shape, {paid_for("pro", kFebruary, kMarch)},
                hidden(kStart, kFebruary)),
        invoice(kMarch, shape, {paid_for("pro", kMarch, kApril)},
                hidden(kFebruary, kMarch))};
    assert_until(bodies, "price_pro", kMarch + kHour, kApril + kGrace);
    // With the subscription's birth told, too.
    Subscription sub{.items = {item("pro", kFebruary)}};
    bodies.push_back(told(kStart, shape, sub, "created"));
    assert_until(bodies, "lookup_key=pro_key", kMarch + kHour, kApril + kGrace);
    // And nothing else is carried along: that ended long before.
    bodies.push_back(
        invoice(kStart - 20 * kDay, shape,
                {paid_for("old", kStart - 40 * kDay, kStart - 20 * kDay)}));
    assert_until(bodies, "price_old", kFebruary + kHour, 0);
  }
}

void what_ends_four_days_later_is_not_renewed_by_a_hidden_cycle(void**) {
  for (Shape shape : kShapes) {
    const Time other = kFebruary + 84 * kHour;
    auto hidden = [](Invoice& one) {
      one.billing_reason = "subscription_cycle";
      one.period_start = kStart;
      one.period_end = kFebruary;
      one.prorations.assign(10, paid_for("seat", kStart, kFebruary));
      one.has_more = true;
    };
    Bodies bodies = {invoice(kStart, shape,
                             {paid_for("base", other - 31 * kDay, other),
                              paid_for("addon", kStart, kFebruary)}),
                     invoice(kFebruary, shape,
                             {paid_for("addon", kFebruary, kMarch)}, hidden)};
    assert_until(bodies, "price_addon", kFebruary + kHour, kMarch + kGrace);
    assert_until(bodies, "price_base", kFebruary + kHour, other + kGrace);
  }
}

// Both are told in one second; a second later is said what holds by then.
void a_hidden_cycle_of_the_second_that_tells_of_it_counts(void**) {
  for (Shape shape : kShapes) {
    auto hidden = [](Invoice& one) {
      one.billing_reason = "subscription_cycle";
      one.period_start = kStart;
      one.period_end = kFebruary;
      one.prorations.assign(10, paid_for("seat", kStart, kFebruary));
      one.has_more = true;
    };
    const std::string paid = invoice(kFebruary, shape, {}, hidden);
    Subscription sub{.items = {item("base", kFebruary)}};
    assert_until({told(kFebruary + kHour, shape, sub), paid}, "price_base",
                 kFebruary + 2 * kHour, kMarch + kGrace);
    assert_until({told(kFebruary + kHour + 1, shape, sub), paid}, "price_base",
                 kFebruary + 2 * kHour, kFebruary + kGrace);
  }
}

void a_yearly_base_is_not_renewed_by_its_addons_cycle(void**) {
  for (Shape shape : kShapes) {
    auto hidden = [](Invoice& one) {
      one.billing_reason = "subscription_cycle";
      one.period_start = kStart;
      one.period_end = kFebruary;
      one.prorations.assign(10, paid_for("seat", kStart, kFebruary));
      one.has_more = true;
    };
    Bodies bodies = {invoice(kStart, shape,
                             {paid_for("base", kStart, kYear),
                              paid_for("addon", kStart, kFebruary)}),
                     invoice(kFebruary, shape,
                             {paid_for("addon", kFebruary, kMarch)}, hidden)};
    assert_until(bodies, "price_addon", kFebruary + kHour, kMarch + kGrace);
    assert_until(bodies, "price_base", kFebruary + kHour, kYear + kGrace);
  }
}

void from_the_year_to_the_month_the_rest_of_the_year_goes_back(void**) {
  for (Shape shape : kShapes) {
    auto credit = [](Invoice& one) {
      one.prorations = {paid_for("yearly", kFebruary, kYear)};
    };
    Bodies bodies = {
        invoice(kStart, shape, {paid_for("yearly", kStart, kYear)}),
        invoice(kFebruary, shape, {paid_for("monthly", kFebruary, kMarch)},
                credit)};
    assert_until(bodies, "price_monthly", kFebruary + kHour, kMarch + kGrace);
    assert_until(bodies, "price_yearly", kMarch, 0);
  }
}

// What it credits was paid for, until the cycle that leaves it out.
void an_invoice_of_credits_only_takes_nothing_back(void**) {
  for (Shape shape : kShapes) {
    const Time dropped = kStart + 10 * kDay;
    auto credits = [&](Invoice& one) {
      one.prorations = {paid_for("addon", dropped, kFebruary)};
    };
    Bodies bodies = {invoice(kStart, shape,
                             {paid_for("base", kStart, kFebruary),
                              paid_for("addon", kStart, kFebruary)}),
                     invoice(dropped, shape, {}, credits)};
    for (const char* price : {"price_base", "price_addon"}) {
      assert_until(bodies, price, dropped + kHour, kFebruary + kGrace);
    }
    bodies.push_back(
        invoice(kFebruary, shape, {paid_for("base", kFebruary, kMarch)}));
    assert_until(bodies, "price_base", kFebruary + kHour, kMarch + kGrace);
    assert_until(bodies, "price_addon", kFebruary + kHour, 0);
  }
}

void another_plan_of_a_cycle_replaces_the_one_before(void**) {
  for (Shape shape : kShapes) {
    Bodies bodies = {
        invoice(kStart, shape, {paid_for("pro", kStart, kFebruary)}),
        invoice(kFebruary, shape, {paid_for("basic", kFebruary, kMarch)})};
    assert_until(bodies, "price_basic", kFebruary + kHour, kMarch + kGrace);
    assert_until(bodies, "price_pro", kFebruary + kHour, 0);
  }
}

void created_incomplete_and_paid_is_paid(void**) {
  for (Shape shape : kShapes) {
    Subscription sub{.items = {item("pro", kFebruary)}};
    sub.status = "incomplete";
    Bodies bodies = {told(kStart, shape, sub, "created")};
    assert_until(bodies, "price_pro", kStart + kDay, 0);
    bodies.push_back(
        invoice(kStart, shape, {paid_for("pro", kStart, kFebruary)}));
    assert_until(bodies, "lookup_key=pro_key", kStart + kDay,
                 kFebruary + kGrace);
    // Told incomplete after that, it is what it says.
    bodies.push_back(told(kStart + 2 * kHour, shape, sub));
    assert_until(bodies, "price_pro", kStart + kDay, 0);
  }
}

void what_is_not_paid_extends_nothing(void**) {
  for (Shape shape : kShapes) {
    auto open = [](Invoice& one) { one.status = "open"; };
    Bodies bodies = {
        invoice(kStart, shape, {paid_for("pro", kStart, kFebruary)}),
        invoice(kFebruary, shape, {paid_for("pro", kFebruary, kMarch)}, open)};
    assert_until(bodies, "price_pro", kFebruary, kFebruary + kGrace);
  }
}

// --- others ------------------------------------------------------------------

void a_lookup_key_that_moved_stays_with_its_price(void**) {
  for (Shape shape : kShapes) {
    Subscription sub{.items = {item("pro", kFebruary)}};
    Bodies bodies = {told(kStart, shape, sub, "created")};
    sub.items[0].lookup_key.clear();
    bodies.push_back(told(kStart + kDay, shape, sub));
    assert_until(bodies, "lookup_key=pro_key", kStart + kDay,
                 kFebruary + kGrace);
    // And leaves with it.
    sub.items = {item("basic", kFebruary)};
    bodies.push_back(told(kStart + 2 * kDay, shape, sub));
    assert_until(bodies, "lookup_key=pro_key", kStart + kDay, 0);
    assert_until(bodies, "price_basic", kStart + kDay, kFebruary + kGrace);
  }
}

void provisional_off_is_off_whatever_the_clocks_say(void**) {
  Bodies bodies = {test::session_event(
      at(kStart + 60, Shape::basil), "completed",
      {.mode = "subscription", .subscription = "sub_9", .names = "pro"})};
  assert_until(bodies, "metadata=pro", kStart, 0);
  Policy on;
  on.provisional = Seconds{30};
  assert_until(bodies, "metadata=pro", kStart, kStart + 90, on);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(cancel_at_in_eleven_months_does_not_outlast_the_month),
      cmocka_unit_test(a_cancellation_within_the_grace_counts),
      cmocka_unit_test(items_end_each_at_its_own_time),
      cmocka_unit_test(what_a_cut_list_shows_ends_as_it_says),
      cmocka_unit_test(what_a_cut_list_does_not_show_goes_on_with_the_others),
      cmocka_unit_test(a_product_in_two_items_ends_with_the_last),
      cmocka_unit_test(
          a_monthly_addons_invoice_says_nothing_of_the_yearly_base),
      cmocka_unit_test(an_addon_paid_once_does_not_stay_for_the_year),
      cmocka_unit_test(the_renewed_base_does_not_take_the_addon_along),
      cmocka_unit_test(a_threshold_invoice_ends_no_base),
      cmocka_unit_test(a_metered_plan_is_paid_in_arrears),
      cmocka_unit_test(ten_prorations_hide_the_plan_and_it_goes_on),
      cmocka_unit_test(
          what_ends_four_days_later_is_not_renewed_by_a_hidden_cycle),
      cmocka_unit_test(a_hidden_cycle_of_the_second_that_tells_of_it_counts),
      cmocka_unit_test(a_yearly_base_is_not_renewed_by_its_addons_cycle),
      cmocka_unit_test(
          from_the_year_to_the_month_the_rest_of_the_year_goes_back),
      cmocka_unit_test(an_invoice_of_credits_only_takes_nothing_back),
      cmocka_unit_test(another_plan_of_a_cycle_replaces_the_one_before),
      cmocka_unit_test(created_incomplete_and_paid_is_paid),
      cmocka_unit_test(what_is_not_paid_extends_nothing),
      cmocka_unit_test(a_lookup_key_that_moved_stays_with_its_price),
      cmocka_unit_test(provisional_off_is_off_whatever_the_clocks_say),
  };
  int failed = 0;
  for (Naming one : {Naming::price, Naming::plan, Naming::chosen}) {
    naming = one;
    failed += cmocka_run_group_tests(tests, nullptr, nullptr);
  }
  return failed;
}
