#include "lua-free-tests/support/shop.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace entitle::test {
namespace {

constexpr Time kHour = 3600, kDay = 24 * kHour;
constexpr Time kStart = 1'767'225'600;  // 2026-01-01
constexpr const char* kUserKeys[] = {"user_id", "userId"};

// Which events the endpoint gets of a subscription.
enum class Selection { all, no_invoices, invoices, birth_and_invoices };

class Shop {
 public:
  explicit Shop(std::uint64_t seed) : random_(seed) {
    shape_ = chance(0.6) ? Shape::basil : Shape::before_basil;
  }

  int pick(int n) { return std::uniform_int_distribution<>(0, n - 1)(random_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }
  Shape shape() const { return shape_; }
  std::string user() { return "u" + std::to_string(pick(3)); }
  std::string user_key() { return kUserKeys[pick(2)]; }

  // No two events are of one second; ids are no clock.
  Envelope envelope(Time at) {
    while (!taken_.insert(at).second) ++at;
    return {"evt_" + std::to_string(random_() % 1'000'000'000) + "x" +
                std::to_string(told.size()),
            at, shape_};
  }
  template <class What>
  void tell(const Envelope& envelope, What what, std::string body) {
    told.push_back({envelope.created, envelope.id, envelope.shape,
                    std::move(what), std::move(body)});
  }

  std::vector<Told> told;

 private:
  std::mt19937_64 random_;
  Shape shape_ = Shape::basil;
  std::set<Time> taken_;
};

// --- subscriptions -----------------------------------------------------------

// An item as the shop bills it.
struct Plan {
  Item item;  // until when it is paid
  int months = 1;
  bool arrears = false;
};

class Subscribed {
 public:
  Subscribed(std::string id, std::string customer) {
    sub_.id = std::move(id);
    sub_.customer = std::move(customer);
  }

  bool begun() const { return begun_; }

  void begin(Shop& shop, Time now) {
    begun_ = true;
    selection_ = static_cast<Selection>(shop.pick(4));
    // Only there are items billed by different intervals.
    mixed_ = shop.shape() == Shape::basil || selection_ == Selection::invoices;
    name(shop, now);
    if (shop.chance(0.3)) sub_.names = "extra";
    if (shop.chance(0.3)) sub_.note = "n" + std::to_string(shop.pick(3));
    bool metered = shop.chance(0.25);
    int months = mixed_ && shop.chance(0.4) ? 12 : 1;
    add(name_of(months), months, metered, now);
    int more = shop.chance(0.2) ? 11 : shop.pick(3);
    for (int n = 0; n < more; ++n) {
      add("add" + std::to_string(n), mixed_ ? 1 : months, false, now);
    }
    if (selection_ != Selection::invoices && shop.chance(0.3)) {
      sub_.status = "incomplete";
    } else if (selection_ == Selection::all && shop.chance(0.3)) {
      sub_.status = "trialing";
      sub_.trial_end = now + 14 * kDay;
      for (Plan& plan : plans_) plan.item.period_end = now + 14 * kDay;
    }
    tell(shop, "created", now);
    if (sub_.status == "incomplete") {
      sub_.status = "active";
      tell(shop, "updated", now + 5);
    }
    if (sub_.status == "active") bill(shop, now, "subscription_create", plans_);
  }

  // Everything that falls due until then.
  void live_until(Shop& shop, Time now) {
    while (begun_ && !over_) {
      Time due = INT64_MAX;
      for (const Plan& plan : plans_) due = std::min(due, plan.item.period_end);
      Time end = end_of_all();
      if (std::min(due, end) > now) return;
      if (end <= due) return finish(shop, end);
      renew(shop, due);
    }
  }

  void act(Shop& shop, Time now) {
    if (over_ || sub_.status != "active") return;
    switch (shop.pick(9)) {
      case 0:
        return another_plan(shop, now);
      case 1:
        return another_interval(shop, now);
      case 2:
        return more(shop, now);
      case 3:
        return less(shop, now);
      case 4:
        return cancel(shop, now);
      case 5:
        return move(shop, now);
      case 6:
        return lose_key(shop, now);
      case 7:
        return none_of_it(shop, now);
      default:
        if (shop.chance(0.3)) finish(shop, now);
    }
  }

 private:
  void name(Shop& shop, Time now) {
    sub_.user_key = shop.user_key();
    int how = shop.pick(4);
    if (how == 0) return;  // the customer's
    if (how == 1) {
      sub_.user = shop.user();
      return;
    }
    Session session{.id = "cs_of_" + sub_.id,
                    .customer = sub_.customer,
                    .mode = "subscription",
                    .subscription = sub_.id,
                    .user_key = shop.user_key()};
    (how == 2 ? session.client_reference_id : session.user) = shop.user();
    session.made = now - shop.pick(3600);
    Envelope envelope = shop.envelope(now + shop.pick(60));
    std::string body = session_event(envelope, "completed", session);
    shop.tell(envelope, session, body);
  }

  // The base plan's: one for each interval, and a bigger one beside it.
  static std::string name_of(int months, bool big = false) {
    return std::string(big ? "big" : "base") + std::to_string(months);
  }

  void add(const std::string& name, int months, bool arrears, Time now) {
    Plan plan{item(name, months_later(now, months)), months, arrears};
    plan.item.period_start = now;
    if (!arrears) plan.item.quantity = 1;
    plans_.push_back(plan);
  }

  void tell(Shop& shop, std::string_view type, Time at) {
    bool birth = selection_ == Selection::birth_and_invoices;
    if (type != "deleted" &&
        (selection_ == Selection::invoices || (birth && type != "created"))) {
      return;
    }
    Subscription before = told_;
    fill();
    told_ = sub_;
    Envelope envelope = shop.envelope(at);
    std::string body = subscription_event(
        envelope, type, sub_, type == "updated" ? &before : nullptr);
    shop.tell(envelope, SubscriptionTold{std::string(type), sub_}, body);
  }

  void fill() {
    sub_.items.clear();
    for (const Plan& plan : plans_) sub_.items.push_back(plan.item);
    sub_.has_more = sub_.items.size() > 10;
    if (sub_.cancel_at_period_end) sub_.cancel_at = sub_.period_end();
  }

  // An invoice that is paid, with lines for these plans.
  void bill(Shop& shop, Time now, std::string_view reason,
            const std::vector<Plan>& plans, std::vector<Item> credits = {},
            std::vector<Item> charges = {}) {
    if (selection_ == Selection::no_invoices) return;
    Invoice invoice{.id = "in_" + std::to_string(shop.told.size()),
                    .customer = sub_.customer,
                    .subscription = sub_.id,
                    .prorations = std::move(credits),
                    .charges = std::move(charges),
                    .issued = now + 10,
                    .user = sub_.user,
                    .finalized = now + 10 + shop.pick(3000),
                    .billing_reason = std::string(reason),
                    .period_start = months_later(now, -1),
                    .period_end = now,
                    .names = sub_.names,
                    .note = sub_.note,
                    .user_key = sub_.user_key};
    for (const Plan& plan : plans) {
      Item line = plan.item;
      if (plan.arrears) {
        line.period_end = plan.item.period_start;
        line.period_start = months_later(plan.item.period_start, -plan.months);
      }
      invoice.items.push_back(line);
    }
    if (reason == "subscription_cycle") {
      if (!plans.empty()) {
        invoice.period_start = months_later(now, -plans[0].months);
      }
      // Ten changes of seats in the last period.
      if (shop.chance(0.1)) {
        invoice.prorations.assign(10, item("seat", months_later(now, 1)));
        for (Item& one : invoice.prorations) one.period_start = now;
      }
    }
    std::size_t lines = invoice.prorations.size() + invoice.charges.size() +
                        invoice.items.size();
    invoice.has_more = lines > 10;
    for (const char* type : {"paid", "payment_succeeded"}) {
      if (type[4] == '\0' && shop.chance(0.5)) continue;
      Envelope envelope = shop.envelope(now + kHour);
      shop.tell(envelope, invoice, invoice_event(envelope, type, invoice));
    }
  }

  void renew(Shop& shop, Time now) {
    if (sub_.status == "trialing") {
      sub_.status = "active";
      sub_.trial_end.reset();
    }
    std::vector<Plan> due;
    for (Plan& plan : plans_) {
      if (plan.item.period_end != now) continue;
      plan.item.period_start = now;
      plan.item.period_end = months_later(now, plan.months);
      due.push_back(plan);
    }
    tell(shop, "updated", now + 2);
    Time paid = now;
    if (shop.chance(0.1)) {
      sub_.status = "past_due";
      tell(shop, "updated", now + kHour);
      if (shop.chance(0.3)) return finish(shop, now + 9 * kDay);
      if (shop.chance(0.2)) {
        sub_.status = "unpaid";
        return tell(shop, "updated", now + 9 * kDay);
      }
      paid = now + (1 + shop.pick(6)) * kDay;
      sub_.status = "active";
      tell(shop, "updated", paid + kHour - 30);
    }
    bill(shop, paid == now ? now : paid, "subscription_cycle", due);
  }

  Time end_of_all() const {
    if (sub_.cancel_at_period_end) {
      Time end = 0;
      for (const Plan& plan : plans_) end = std::max(end, plan.item.period_end);
      return end;
    }
    return sub_.cancel_at.value_or(INT64_MAX);
  }

  void another_plan(Shop& shop, Time now) {  // of the same interval
    Plan& base = plans_[0];
    if (base.arrears) return;
    std::vector<Item> credit = {base.item};
    credit[0].period_start = now;
    bool grows = base.item.price == "price_" + name_of(base.months);
    Item next = item(name_of(base.months, grows), base.item.period_end);
    next.period_start = base.item.period_start;
    next.quantity = 1;
    base.item = next;
    std::vector<Item> charge = {next};
    charge[0].period_start = now;
    tell(shop, "updated", now);
    bill(shop, now, "subscription_update", {}, credit, charge);
  }

  void another_interval(Shop& shop, Time now) {  // begins a period at once
    if (!mixed_ || plans_[0].arrears) return;
    std::vector<Item> credit = {plans_[0].item};
    credit[0].period_start = now;
    Plan& base = plans_[0];
    base.months = base.months == 1 ? 12 : 1;
    base.item = item(name_of(base.months), months_later(now, base.months));
    base.item.period_start = now;
    base.item.quantity = 1;
    tell(shop, "updated", now);
    bill(shop, now, "subscription_update", {base}, credit);
  }

  void more(Shop& shop, Time now) {
    if (!mixed_ || plans_.size() > 4) return;
    add("late" + std::to_string(shop.told.size()), 1, false, now);
    tell(shop, "updated", now);
    bill(shop, now, "subscription_update", {plans_.back()});
  }

  void less(Shop& shop, Time now) {
    if (plans_.size() < 2) return;
    plans_.pop_back();
    tell(shop, "updated", now);
  }

  void cancel(Shop& shop, Time now) {
    if (sub_.cancel_at) {
      sub_.cancel_at.reset();
      sub_.cancel_at_period_end = false;
    } else if (shop.chance(0.5)) {
      sub_.cancel_at_period_end = true;
    } else {
      sub_.cancel_at = now + (1 + shop.pick(300)) * kDay;
    }
    tell(shop, "updated", now);
  }

  void move(Shop& shop, Time now) {
    if (sub_.user.empty()) return;
    sub_.user = shop.user();
    tell(shop, "updated", now);
  }

  void lose_key(Shop& shop, Time now) {  // transfer_lookup_key
    plans_[0].item.lookup_key.clear();
    tell(shop, "updated", now);
  }

  void none_of_it(Shop& shop, Time now) {
    Item& last = plans_.back().item;
    if (plans_.size() < 2 || !last.quantity || plans_.size() > 10) return;
    last.quantity = 1 - *last.quantity;
    tell(shop, "updated", now);
  }

  void finish(Shop& shop, Time now) {
    over_ = true;
    sub_.status = "canceled";
    sub_.ended_at = now;
    tell(shop, "deleted", now + 1);
  }

  Subscription sub_, told_;
  std::vector<Plan> plans_;
  Selection selection_ = Selection::all;
  bool begun_ = false, over_ = false, mixed_ = false;
};

// --- one-time purchases and customers ----------------------------------------

void buy(Shop& shop, Time now, const std::string& customer) {
  std::string number = std::to_string(shop.told.size());
  Payment payment{"pi_" + number, "ch_" + number, customer};
  if (shop.chance(0.3)) {  // by an element of the shop's own
    PaymentTold told{payment.intent, customer, shop.user(), "m" + number};
    Envelope envelope = shop.envelope(now);
    shop.tell(envelope, told,
              payment_event(envelope, payment, told.user, told.note));
  } else {
    Session session{.id = "cs_" + number,
                    .customer = customer,
                    .payment_status = shop.chance(0.3) ? "unpaid" : "paid",
                    .payment_intent = payment.intent,
                    .payment_link = "plink_" + number,
                    .user_key = shop.user_key()};
    session.made = now - shop.pick(7200);
    if (shop.chance(0.3)) session.names = "course";
    if (customer.empty() || shop.chance(0.5)) {  // a gift, perhaps
      (shop.chance(0.5) ? session.client_reference_id : session.user) =
          shop.user();
    }
    Envelope envelope = shop.envelope(now);
    shop.tell(envelope, session, session_event(envelope, "completed", session));
    if (session.payment_status == "unpaid" && shop.chance(0.7)) {
      session.payment_status = "paid";
      envelope = shop.envelope(now + 7 * kDay);
      shop.tell(envelope, session,
                session_event(envelope, "async_payment_succeeded", session));
    }
  }
  if (shop.chance(0.25)) {
    bool full = shop.chance(0.7);
    Envelope envelope = shop.envelope(now + (8 + shop.pick(80)) * kDay);
    shop.tell(envelope, RefundTold{payment.intent, full},
              charge_refunded_event(envelope, payment, full));
  }
  if (!shop.chance(0.2)) return;
  Time when = now + (8 + shop.pick(80)) * kDay;
  for (const char* status : {"needs_response", "won", "lost"}) {
    if (status[0] == 'w' && shop.chance(0.5)) continue;
    Envelope envelope = shop.envelope(when);
    std::string id = "du_" + number;
    shop.tell(envelope, DisputeTold{payment.intent, id, status},
              dispute_event(envelope, "updated", payment, id, status));
    when += (5 + shop.pick(30)) * kDay;
    if (status[0] == 'w') break;
  }
}

void name_customer(Shop& shop, Time now, const std::string& customer) {
  Envelope envelope = shop.envelope(now);
  CustomerTold told{customer, shop.user()};
  shop.tell(envelope, told,
            customer_event(envelope, "updated", customer, told.user));
}

void delete_customer(Shop& shop, Time now, const std::string& customer) {
  Envelope envelope = shop.envelope(now);
  shop.tell(envelope, CustomerTold{customer, "", true},
            customer_event(envelope, "deleted", customer, ""));
}

}  // namespace

Time months_later(Time time, int months) {
  using namespace std::chrono;
  sys_seconds at{seconds(time)};
  sys_days day = floor<days>(at);
  year_month_day date{day};
  year_month month = date.year() / date.month() + std::chrono::months(months);
  date = month / date.day();
  if (!date.ok()) date = month / last;
  return (sys_days(date) + (at - day)).time_since_epoch().count();
}

std::vector<Told> make_shop(std::uint64_t seed, int steps) {
  Shop shop(seed);
  std::vector<std::unique_ptr<Subscribed>> subscriptions;
  const std::string customers[] = {"cus_0", "cus_1"};
  for (const std::string& customer : customers) {
    for (int n = 0; n < 2; ++n) {
      std::string id = "sub_" + customer.substr(4) + std::to_string(n);
      subscriptions.push_back(std::make_unique<Subscribed>(id, customer));
    }
  }
  Time now = kStart;
  bool deleted = false;  // the first customer
  for (int step = 0; step < steps; ++step) {
    now += 5 * kHour + shop.pick(static_cast<int>(15 * kDay));
    for (std::size_t n = deleted ? 2 : 0; n < 4; ++n) {
      subscriptions[n]->live_until(shop, now);
    }
    int who = shop.pick(10);
    if (who < 6) {
      std::size_t which = static_cast<std::size_t>(who) % 4;
      Subscribed& one = *subscriptions[deleted ? which | 2 : which];
      if (one.begun()) {
        one.act(shop, now);
      } else {
        one.begin(shop, now);
      }
    } else if (who < 8) {
      int whose = shop.pick(3);
      if (deleted && whose == 0) whose = 1;
      buy(shop, now, whose == 2 ? "" : customers[whose]);
    } else if (who < 9 || !shop.chance(0.04)) {
      name_customer(shop, now, customers[deleted ? 1 : shop.pick(2)]);
    } else if (!deleted) {
      deleted = true;
      delete_customer(shop, now, customers[0]);
    }
  }
  std::sort(shop.told.begin(), shop.told.end(),
            [](const Told& a, const Told& b) { return a.at < b.at; });
  // What will be told has not been.
  std::erase_if(shop.told, [now](const Told& one) { return one.at > now; });
  return std::move(shop.told);
}

Variety variety_of(const std::vector<Told>& told) {
  Variety some;
  std::set<std::string> snapshots;
  std::map<std::string, std::set<std::string>> users;  // by customer
  std::map<std::string, std::set<std::string>> lines;  // by subscription
  for (const Told& one : told) {
    if (auto* said = std::get_if<SubscriptionTold>(&one.what)) {
      snapshots.insert(said->now.id);
      some.more_items += said->now.has_more;
      std::set<Time> ends;
      for (const Item& item : said->now.items) ends.insert(item.period_end);
      some.mixed_intervals += ends.size() > 1;
      if (!said->now.user.empty()) {
        users[said->now.customer].insert(said->now.user);
      }
    } else if (auto* invoice = std::get_if<Invoice>(&one.what)) {
      some.more_lines += invoice->has_more;
      bool alone = !snapshots.contains(invoice->subscription);
      some.by_invoice_only += alone;
      for (const Item& line : invoice->items) {
        some.arrears += line.period_end <= invoice->issued;
        some.add_ons_by_invoice += alone && line.price.starts_with("price_add");
      }
      if (!invoice->user.empty())
        users[invoice->customer].insert(invoice->user);
    }
  }
  for (const auto& [customer, named] : users) {
    some.shared_customers += named.size() > 1;
  }
  return some;
}

}  // namespace entitle::test
