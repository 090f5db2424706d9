// A year of one subscription, told with a moving clock, for each sensible set
// of events an endpoint may be subscribed to.
//
//   month 0-4   pro, renewed on time
//   month 5     the renewal fails; paid four days later
//   month 7.5   team instead of pro
//   month 10.5  cancelled at the period's end
//   month 11    over
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/access/access.h"

extern "C" {
#include <cmocka.h>
}

#include <functional>
#include <string>

#include "core/base/types.h"
#include "core/source/forget.h"
#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Shape;
using test::Subscription;
using test::Time;

namespace {

constexpr Time kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr Time kMonth = 30 * kDay, kStart = 1'767'225'600;
constexpr Time kGrace = 72 * kHour;

constexpr Time month(double n) {
  return kStart + static_cast<Time>(n * static_cast<double>(kMonth));
}

constexpr Time kFailed = month(5) + kHour;       // the charge is refused
constexpr Time kRecovered = kFailed + 4 * kDay;  // paid at last
constexpr Time kUpgraded = month(7.5);
constexpr Time kCancelled = month(10.5);
constexpr Time kOver = month(11);

struct Told {
  Time at;
  std::string type, body;
};

// Everything Stripe says in that year, in the true order.
class Year {
 public:
  explicit Year(Shape shape) : shape_(shape) {
    sub_.user = "42";
    sub_.status = "incomplete";
    sub_.items = {item("pro", month(1))};
    created();
    changed(kStart, [](Subscription& sub) { sub.status = "active"; });
    paid(kStart, kStart);
    session();
    features(kStart, {"pro"});
    for (int n = 1; n < 11; ++n) renew(n);
    over();
  }

  std::vector<Told> only(const std::function<bool(const Told&)>& wanted) const {
    std::vector<Told> some;
    for (const Told& one : told_) {
      if (wanted(one)) some.push_back(one);
    }
    return some;
  }

 private:
  test::Envelope envelope(Time at) {
    return {"evt_" + std::to_string(1000 + told_.size()), at, shape_};
  }
  void tell(Time at, std::string type, std::string body) {
    told_.push_back({at, std::move(type), std::move(body)});
  }
  void created() {
    tell(kStart, "subscription.created",
         test::subscription_event(envelope(kStart), "created", sub_));
  }
  void changed(Time at, const std::function<void(Subscription&)>& change) {
    Subscription before = sub_;
    change(sub_);
    tell(at, "subscription.updated",
         test::subscription_event(envelope(at), "updated", sub_, &before));
  }
  void paid(Time issued, Time at) {
    test::Invoice invoice{.id = "in_" + std::to_string(issued),
                          .items = sub_.items,
                          .issued = issued,
                          .user = sub_.user};
    tell(at, "invoice.paid",
         test::invoice_event(envelope(at), "paid", invoice));
    tell(at, "invoice.payment_succeeded",
         test::invoice_event(envelope(at), "payment_succeeded", invoice));
  }
  void session() {
    tell(kStart + 2, "session",
         test::session_event(envelope(kStart + 2), "completed",
                             {.mode = "subscription",
                              .subscription = "sub_1",
                              .client_reference_id = "42"}));
  }
  void features(Time at, std::vector<std::string> now) {
    tell(at, "features",
         test::summary_event(envelope(at), "cus_1", now, false, &features_));
    features_ = now;
  }
  void renew(int n) {
    Time boundary = month(n) + 16;
    changed(boundary,
            [&](Subscription& sub) { sub.items[0].period_end = month(n + 1); });
    if (n == 5) {
      changed(kFailed, [](Subscription& sub) { sub.status = "past_due"; });
      changed(kFailed + kDay, [](Subscription& sub) { sub.note = "dunned"; });
      paid(boundary, kRecovered);
      changed(kRecovered, [](Subscription& sub) { sub.status = "active"; });
    } else {
      paid(boundary, boundary + kHour);
    }
    if (n == 7) upgrade();
    if (n == 10) {
      changed(kCancelled, [](Subscription& sub) {
        sub.cancel_at_period_end = true;
        sub.cancel_at = sub.items[0].period_end;
      });
    }
  }
  void upgrade() {
    std::vector<test::Item> old = sub_.items;
    changed(kUpgraded, [](Subscription& sub) {
      sub.items = {item("team", sub.items[0].period_end)};
    });
    test::Invoice prorated{.id = "in_prorated", .issued = kUpgraded};
    prorated.prorations = {old[0], sub_.items[0]};
    tell(kUpgraded, "invoice.payment_succeeded",
         test::invoice_event(envelope(kUpgraded), "payment_succeeded",
                             prorated));
    features(kUpgraded, {"team"});
  }
  void over() {
    sub_.status = "canceled";
    sub_.ended_at = kOver;
    tell(kOver, "subscription.deleted",
         test::subscription_event(envelope(kOver), "deleted", sub_));
    features(kOver, {});
  }

  Shape shape_;
  Subscription sub_;
  std::vector<std::string> features_;
  std::vector<Told> told_;
};

// Plays the story hour by hour. `expected` names the plan at a time, "" none.
void play(const std::function<bool(const Told&)>& wanted, const char* form,
          const std::function<std::string(Time)>& expected) {
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    std::vector<Told> story = Year(shape).only(wanted);
    assert_true(story.size() > 2);
    Sources record;
    auto next = story.begin();
    for (Time now = kStart; now < month(13); now += kHour) {
      for (; next != story.end() && next->at <= now; ++next) {
        merge(record, test::sources(test::facts(next->body)));
      }
      record = test::stored(record);
      forget(record, unix_time(now));
      std::string plan;
      for (const std::string& one :
           test::texts(effective_identifiers(record, {}, unix_time(now)))) {
        if (one.starts_with(form)) plan += one.substr(std::string(form).size());
      }
      if (plan != expected(now)) {
        fail_msg("month %.3f: has \"%s\", not \"%s\"",
                 static_cast<double>(now - kStart) / kMonth, plan.c_str(),
                 expected(now).c_str());
      }
    }
  }
}

std::string plan_at(Time now) {
  if (now >= kOver) return "";
  return now < kUpgraded ? "pro" : "team";
}

void everything_at_once(void**) {
  play([](const Told& one) { return one.type != "features"; }, "price_",
       plan_at);
}

void only_subscription_events(void**) {
  play([](const Told& one) { return one.type.starts_with("subscription."); },
       "price_", plan_at);
}

void only_entitlement_summaries(void**) {
  play([](const Told& one) { return one.type == "features"; },
       "feature=", plan_at);
}

void only_session_invoice_and_deletion(void**) {
  // Nobody says that the payment failed: access pauses a grace after the month
  // that was paid, until the invoice is. The new plan begins with the invoice
  // that is not a proration.
  play(
      [](const Told& one) {
        return one.type == "session" ||
               one.type == "invoice.payment_succeeded" ||
               one.type == "subscription.deleted";
      },
      "price_",
      [](Time now) -> std::string {
        if (now >= month(5) + kGrace && now < kRecovered) return "";
        if (now >= kOver) return "";
        return now < month(8) + 16 + kHour ? "pro" : "team";
      });
}

void a_payment_that_never_comes_ends_after_the_past_due_grace(void**) {
  play(
      [](const Told& one) {
        return one.type.starts_with("subscription.") && one.at < kRecovered;
      },
      "price_", [](Time now) { return now < kFailed + 7 * kDay ? "pro" : ""; });
}

void a_renewal_that_is_never_told_ends_a_grace_after_the_period(void**) {
  play([](const Told& one) { return one.at < month(3); }, "price_",
       [](Time now) { return now < month(3) + kGrace ? "pro" : ""; });
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(everything_at_once),
      cmocka_unit_test(only_subscription_events),
      cmocka_unit_test(only_entitlement_summaries),
      cmocka_unit_test(only_session_invoice_and_deletion),
      cmocka_unit_test(
          a_payment_that_never_comes_ends_after_the_past_due_grace),
      cmocka_unit_test(
          a_renewal_that_is_never_told_ends_a_grace_after_the_period),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
