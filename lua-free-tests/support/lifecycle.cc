#include "lua-free-tests/support/lifecycle.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

namespace entitle::test {
namespace {

constexpr Time kHour = 3600, kDay = 24 * kHour, kMonth = 30 * kDay;
constexpr Time kStart = 1'767'225'600;
constexpr Time kGrace = 72 * kHour, kPastDueGrace = 7 * kDay;

class World {
 public:
  World(std::uint64_t seed, int pace) : random_(seed), pace_(pace) {
    shape_ = chance(0.5) ? Shape::basil : Shape::before_basil;
  }

  Time now() const { return now_; }
  // Often not at all: much of what Stripe does takes less than a second.
  void pass() {
    double dice = std::uniform_real_distribution<>(0, 1)(random_);
    if (dice > 0.8) {
      now_ += pace_ * static_cast<Time>(pick(static_cast<int>(9 * kDay)));
    } else if (dice > 0.45) {
      now_ += 1 + pick(4);
    }
  }
  void pass_at_least_a_second() { now_ += 1 + pick(3); }
  int pick(int n) { return std::uniform_int_distribution<>(0, n - 1)(random_); }
  bool chance(double p) { return std::bernoulli_distribution(p)(random_); }
  Shape shape() const { return shape_; }

  // Event ids are no clock.
  Envelope envelope() {
    return {"evt_" + std::to_string(random_() % 1'000'000'000) + "x" +
                std::to_string(said.size()),
            now_, shape_};
  }
  void tell(const Envelope& envelope, std::string what, std::string body) {
    said.push_back(
        {envelope.created, envelope.id, std::move(what), std::move(body)});
    instants.insert(envelope.created);
  }

  std::vector<Said> said;
  std::set<Time> instants;

 private:
  std::mt19937_64 random_;
  int pace_;
  Time now_ = kStart;
  Shape shape_ = Shape::basil;
};

// Something with a life of its own.
class Actor {
 public:
  virtual ~Actor() = default;
  virtual void act(World& world) = 0;
  virtual void conclude(Lifecycle& life) const = 0;
};

// --- subscriptions
// ---------------------------------------------------------------

// Which events the endpoint gets.
enum class Selection { all, subscription_only, invoices, created_and_invoices };

class SubscriptionActor : public Actor {
 public:
  SubscriptionActor(std::string id, std::string customer)
      : id_(std::move(id)), customer_(std::move(customer)) {}

  void act(World& world) override {
    if (!born_) return create(world);
    if (over_) return;
    int dice = world.pick(100);
    if (selection_ == Selection::invoices ||
        selection_ == Selection::created_and_invoices) {
      return dice < 8 ? finish(world) : renew(world);
    }
    if (dice < 4) return finish(world);
    if (dice < 20) return renew(world);
    if (dice < 30) return notice(world);
    Subscription before = sub_;
    change(world, dice);
    update(world, before);
  }

  void conclude(Lifecycle& life) const override {
    if (!heard_) return;
    SourceTruth& truth = life.sources[id_];
    truth.status = over_ ? "canceled" : known_.status;
    if (!over_ && !known_.pause_collection.empty()) {
      truth.paused = known_.resumes_at.value_or(kNever);
    }
    for (const Item& one : known_.items) {
      for (const std::string& identifier : identifiers_of(one)) {
        extend(truth.identifiers[identifier], over_ ? Span{} : until(one));
      }
    }
    std::vector<std::string> said;
    if (!known_.names.empty()) said.push_back("metadata=" + known_.names);
    if (!known_.note.empty()) said.push_back("metadata.note=" + known_.note);
    for (const std::string& name : said) {
      Span& span = truth.identifiers[name];
      for (const Item& one : known_.items) {
        extend(span, over_ ? Span{} : until(one));
      }
    }
  }

 private:
  void create(World& world) {
    born_ = true;
    world_basil_ = world.shape() == Shape::basil;
    selection_ = static_cast<Selection>(world.pick(4));
    unheard_birth_ =
        selection_ != Selection::created_and_invoices && world.chance(0.2);
    sub_.id = id_;
    sub_.customer = customer_;
    sub_.items = {
        item("p" + std::to_string(world.pick(4)), world.now() + kMonth)};
    bool invoices_only = selection_ == Selection::invoices ||
                         selection_ == Selection::created_and_invoices;
    sub_.status = "active";
    if (!invoices_only) {
      const char* births[] = {"incomplete", "active", "trialing"};
      sub_.status = births[world.pick(3)];
    }
    if (sub_.status == "trialing") {
      sub_.trial_end = world.now() + 14 * kDay;
      sub_.items[0].period_end = *sub_.trial_end;
    }
    known_ = sub_;
    tell(world, "created");
    if (invoices_only) pay(world);
  }

  // What of the subscription's events the endpoint hears.
  bool hears(std::string_view type) const {
    if (type == "deleted") return true;
    if (type == "created" && unheard_birth_) return false;
    if (selection_ == Selection::invoices) return false;
    if (selection_ == Selection::created_and_invoices) return type == "created";
    return true;
  }

  void tell(World& world, std::string_view type,
            const Subscription* before = nullptr) {
    if (!hears(type)) return;
    heard_ = true;
    Envelope envelope = world.envelope();
    world.tell(envelope, id_ + " " + std::string(type) + " " + sub_.status,
               subscription_event(envelope, type, sub_, before));
    known_ = sub_;
    told_at_ = world.now();
  }

  void update(World& world, const Subscription& before) {
    if (sub_.status != before.status && sub_.status == "past_due") {
      past_due_since_ = world.now();
    }
    tell(world, "updated", &before);
  }

  void change(World& world, int dice) {
    if (dice < 55) return change_status(world);
    if (dice < 68) return change_items(world);
    if (dice < 80) return change_cancellation(world);
    if (dice < 87) return change_pause(world);
    if (dice < 92) {
      sub_.note += "n";
      return;
    }
    sub_.names = sub_.names.empty() ? "extra" : "";
  }

  void change_status(World& world) {
    const std::string& now = sub_.status;
    if (now == "incomplete" || now == "unpaid" || now == "paused") {
      sub_.status = "active";
    } else if (now == "trialing") {
      sub_.status = world.chance(0.8) ? "active" : "paused";
      for (Item& one : sub_.items) one.period_end = world.now() + kMonth;
    } else if (now == "active") {
      sub_.status = "past_due";
    } else {
      sub_.status = world.chance(0.7) ? "active" : "unpaid";
    }
  }

  void change_items(World& world) {
    Time end = sub_.period_end();
    std::string plan = "p" + std::to_string(world.pick(4));
    switch (world.pick(4)) {
      case 0:  // another plan
        sub_.items[0] = item(plan, end);
        break;
      case 1:  // one more
        if (sub_.items.size() < 4) sub_.items.push_back(item("a" + plan, end));
        break;
      case 2:  // one less
        if (sub_.items.size() > 1) sub_.items.pop_back();
        break;
      case 3: {  // by the year, or back to the month; before basil all alike
        bool all = world.chance(0.5);
        for (Item& one : sub_.items) {
          bool yearly = world_basil_ ? world.chance(0.5) : all;
          one.period_end = world.now() + (yearly ? 12 : 1) * kMonth;
        }
        break;
      }
    }
  }

  void change_cancellation(World& world) {
    if (sub_.cancel_at || sub_.cancel_at_period_end) {
      sub_.cancel_at.reset();
      sub_.cancel_at_period_end = false;
    } else if (world.chance(0.5)) {
      sub_.cancel_at_period_end = true;
      sub_.cancel_at = sub_.period_end();
    } else {  // flexible billing
      sub_.cancel_at = sub_.period_end() + world.pick(3) * kDay;
    }
  }

  void change_pause(World& world) {
    const char* behaviors[] = {"keep_as_draft", "mark_uncollectible", "void"};
    const bool paused = !sub_.pause_collection.empty();
    if (paused && world.chance(0.6)) {
      sub_.pause_collection.clear();
      sub_.resumes_at.reset();
      return;
    }
    if (!paused || world.chance(0.5)) {
      sub_.pause_collection = behaviors[world.pick(3)];
    }
    sub_.resumes_at.reset();
    if (world.chance(0.5)) {
      sub_.resumes_at = world.now() + 1 + world.pick(40) * kDay;
      world.instants.insert(*sub_.resumes_at);
    }
  }

  void renew(World& world) {
    if (sub_.status != "active") return;
    world.pass_at_least_a_second();  // no two periods begin in one
    Subscription before = sub_;
    Time end = sub_.period_end() + kMonth;
    for (Item& one : sub_.items) one.period_end = end;
    if (sub_.cancel_at_period_end) sub_.cancel_at = end;
    if (hears("updated")) update(world, before);
    if (selection_ != Selection::subscription_only) pay(world);
  }

  void pay(World& world) {
    Invoice invoice{.id = "in_" + std::to_string(world.said.size()),
                    .customer = customer_,
                    .subscription = id_,
                    .items = sub_.items,
                    .issued = world.now()};
    if (world.chance(0.3)) {
      invoice.prorations = {item("left", world.now() + 99 * kMonth)};
    }
    if (world.chance(0.5)) world.pass();
    int times = world.chance(0.5) ? 2 : 1;
    for (int n = 0; n < times; ++n) {
      Envelope envelope = world.envelope();
      const char* type = n == 0 ? "paid" : "payment_succeeded";
      world.tell(envelope, id_ + " invoice " + type,
                 invoice_event(envelope, type, invoice));
    }
    heard_ = true;
    if (selection_ == Selection::invoices) known_ = sub_;
    for (const Item& one : sub_.items) {
      paid_[one.price] = {one.period_end, world.now()};
    }
  }

  void notice(World& world) {
    if (!hears("trial_will_end")) return;
    tell(world, "trial_will_end");
    // A notice has no order among its second's: keep it out of the way.
    world.pass_at_least_a_second();
  }

  void finish(World& world) {
    over_ = true;
    sub_.status = "canceled";
    sub_.ended_at = world.now();
    tell(world, "deleted");
    if (!world.chance(0.3) || !hears("updated")) return;
    Subscription stale = sub_;  // rendered before the end, said after it
    stale.status = "active";
    stale.ended_at.reset();
    Envelope envelope = world.envelope();
    world.tell(envelope, id_ + " stale update",
               subscription_event(envelope, "updated", stale, &sub_));
  }

  // Lookup keys are not on lines since basil.
  std::vector<std::string> identifiers_of(const Item& item) const {
    std::vector<std::string> all = Subscription{.items = {item}}.identifiers();
    if (selection_ == Selection::invoices && world_basil_) {
      std::erase_if(all, [](const std::string& one) {
        return one.starts_with("lookup_key=");
      });
    }
    return all;
  }

  static void extend(Span& span, Span by) {
    span.sure = std::max(span.sure, by.sure);
    span.maybe = std::max(span.maybe, by.maybe);
  }

  // Whatever comes first: the item's period and grace, or a cancellation.
  Span until(const Item& item) const {
    Span span;
    if (known_.status == "active") {
      span = {item.period_end, item.period_end};
      auto paid = paid_.find(item.price);
      if (paid != paid_.end() && paid->second.at >= told_at_) {
        span.maybe = std::max(span.maybe, paid->second.until);
        // An invoice and an update of one second: which came last?
        if (paid->second.at > told_at_) span.sure = span.maybe;
      }
      span = {span.sure + kGrace, span.maybe + kGrace};
    } else if (known_.status == "trialing") {
      span = {*known_.trial_end + kGrace, *known_.trial_end + kGrace};
    } else if (known_.status == "past_due") {
      span = {past_due_since_ + kPastDueGrace, past_due_since_ + kPastDueGrace};
    }
    MaybeTime end = known_.cancel_at;
    if (known_.cancel_at_period_end && (!end || known_.period_end() < *end)) {
      end = known_.period_end();
    }
    if (end) span = {std::min(span.sure, *end), std::min(span.maybe, *end)};
    return span;
  }

  std::string id_, customer_;
  bool born_ = false, over_ = false, heard_ = false, world_basil_ = false;
  bool unheard_birth_ = false;  // the endpoint is younger
  Selection selection_ = Selection::all;
  Subscription sub_;    // as it is
  Subscription known_;  // as the endpoint was told
  struct Paid {
    Time until = 0, at = 0;
  };
  std::map<std::string, Paid> paid_;  // by price
  Time past_due_since_ = 0, told_at_ = 0;
};

// --- one-time purchases
// --------------------------------------------------------------

class PurchaseActor : public Actor {
 public:
  PurchaseActor(int n, std::string customer) : n_(n) {
    std::string id = std::to_string(n);
    session_.id = "cs_" + id;
    session_.customer = std::move(customer);
    session_.payment_intent = "pi_" + id;
    session_.payment_link = "plink_" + id;
    payment_ = {"pi_" + id, "ch_" + id, session_.customer};
  }

  void act(World& world) override {
    if (!begun_) return begin(world);
    if (!paid_) return pay(world);
    if (world.chance(0.5)) {
      refund_something(world);
    } else {
      dispute_something(world);
    }
  }

  void conclude(Lifecycle& life) const override {
    if (!begun_) return;
    SourceTruth& truth = life.sources[session_.id];
    bool disputed = std::any_of(
        disputes_.begin(), disputes_.end(), [](const std::string& status) {
          return status == "needs_response" || status == "lost";
        });
    truth.give({session_.payment_link},
               paid_ && !all_refunded() && !disputed ? kNever : 0);
  }

 private:
  static constexpr int kParts = 4;  // a refund gives back some of them
  static constexpr int kPart = 4900 / kParts;

  void begin(World& world) {
    begun_ = true;
    const char* outcomes[] = {"paid", "unpaid", "no_payment_required"};
    session_.payment_status = outcomes[world.pick(3)];
    paid_ = session_.payment_status != "unpaid";
    say(world, "completed");
  }
  void pay(World& world) {
    session_.payment_status = "paid";
    paid_ = true;
    say(world, "async_payment_succeeded");
  }
  void say(World& world, std::string_view type) {
    Envelope envelope = world.envelope();
    world.tell(envelope, session_.id + " " + session_.payment_status,
               session_event(envelope, type, session_));
  }

  int refunded() const {
    int parts = 0;
    for (const auto& [id, part] : refunds_) parts += part;
    return parts;
  }
  bool all_refunded() const { return refunded() >= kParts; }

  void refund_something(World& world) {
    bool fail = !refunds_.empty() && world.chance(0.4);
    // A refund that fails in the second of another is a tie, and ties revoke:
    // not what happened, but what is promised.
    world.pass_at_least_a_second();
    if (fail) {
      auto refund = refunds_.begin();
      std::advance(refund, world.pick(static_cast<int>(refunds_.size())));
      Envelope envelope = world.envelope();
      world.tell(envelope, refund->first + " failed",
                 refund_event(envelope, "refund.failed", payment_,
                              refund->first, "failed", refund->second * kPart));
      refunds_.erase(refund);
      world.pass_at_least_a_second();
      return;
    }
    if (all_refunded()) return;
    int part = 1 + world.pick(kParts - refunded());
    std::string id =
        "re_" + std::to_string(n_) + "_" + std::to_string(++refunds_made_);
    refunds_[id] = part;
    for (const char* status : {"pending", "succeeded"}) {
      Envelope envelope = world.envelope();
      world.tell(envelope, id + " " + status,
                 refund_event(envelope, "refund.updated", payment_, id, status,
                              part * kPart));
    }
    Envelope envelope = world.envelope();
    world.tell(envelope,
               payment_.charge + (all_refunded() ? " all" : " some") + " back",
               charge_refunded_event(envelope, payment_, all_refunded()));
  }

  void dispute_something(World& world) {
    if (disputes_.empty() || (disputes_.size() < 3 && world.chance(0.3))) {
      disputes_.push_back(world.chance(0.3) ? "warning_needs_response"
                                            : "needs_response");
      return say_dispute(world, disputes_.size() - 1, "created");
    }
    std::size_t which = static_cast<std::size_t>(
        world.pick(static_cast<int>(disputes_.size())));
    std::string& status = disputes_[which];
    // Won and lost of one second cannot be told apart; the worse is promised.
    if (status == "won" || status == "lost" || status == "warning_closed") {
      world.pass_at_least_a_second();
    }
    if (status == "warning_needs_response") {
      status = world.chance(0.5) ? "warning_closed" : "needs_response";
    } else {
      status = status == "lost" ? "won" : world.chance(0.5) ? "won" : "lost";
    }
    say_dispute(world, which, "updated");
  }

  void say_dispute(World& world, std::size_t which, std::string_view type) {
    std::string id = "du_" + std::to_string(n_) + "_" + std::to_string(which);
    Envelope envelope = world.envelope();
    world.tell(envelope, id + " " + disputes_[which],
               dispute_event(envelope, type, payment_, id, disputes_[which]));
  }

  int n_;
  Session session_;
  Payment payment_;
  bool begun_ = false, paid_ = false;
  std::map<std::string, int> refunds_;  // those that hold: id -> parts
  int refunds_made_ = 0;
  std::vector<std::string> disputes_;  // their statuses
};

// --- customers
// -----------------------------------------------------------------------

class CustomerActor : public Actor {
 public:
  explicit CustomerActor(std::string id) : id_(std::move(id)) {}

  void act(World& world) override {
    switch (world.pick(6)) {
      case 0:
      case 1:
        return claim(world);
      case 5:
        if (world.chance(0.15)) return remove(world);
        [[fallthrough]];
      default:
        return feature(world);
    }
  }

  void conclude(Lifecycle& life) const override {
    if (summarised_) {
      SourceTruth& truth = life.sources[id_];
      for (const std::string& one : features_) {
        truth.give({"feature=" + one}, kNever);
      }
    }
    life.owners[id_] = !metadata_.empty()   ? std::get<2>(metadata_.back())
                       : !explicit_.empty() ? std::get<2>(explicit_.back())
                                            : "";
    for (const auto& [session, owner] : named_) {
      life.owners[id_ + " " + session] = owner;
    }
  }
  bool removed() const { return removed_; }
  const std::string& id() const { return id_; }

 private:
  using Claims = std::vector<std::tuple<Time, std::string, std::string>>;
  std::map<std::string, std::string> named_;  // session -> "u:..."

  void feature(World& world) {
    std::vector<std::string> before(features_.begin(), features_.end());
    std::string one = "f" + std::to_string(world.pick(5));
    if (!features_.erase(one)) features_.insert(one);
    summarised_ = true;
    std::vector<std::string> now(features_.begin(), features_.end());
    Envelope envelope = world.envelope();
    world.tell(envelope, id_ + " features",
               summary_event(envelope, id_, now, false, &before));
  }

  void claim(World& world) {
    std::string user = "user" + std::to_string(world.pick(3));
    Envelope envelope = world.envelope();
    if (world.chance(0.5)) {
      world.tell(envelope, id_ + " metadata " + user,
                 customer_event(envelope, "updated", id_, user));
      note(metadata_, envelope.created, envelope.id, user);
    } else {
      Session session{.id = "cs_setup_" + envelope.id,
                      .customer = id_,
                      .mode = "setup",
                      .payment_status = "no_payment_required",
                      .client_reference_id = user,
                      .made = envelope.created - world.pick(100'000)};
      world.tell(envelope, id_ + " reference " + user,
                 session_event(envelope, "completed", session));
      note(explicit_, session.made, envelope.id, user);
      named_[session.id] = "u:" + user;
    }
  }

  // What was said last wins, and of one second the greatest id.
  static void note(Claims& claims, Time said, const std::string& event,
                   const std::string& user) {
    claims.emplace_back(said, event, "u:" + user);
    std::sort(claims.begin(), claims.end());
  }

  void remove(World& world) {
    removed_ = true;
    Envelope envelope = world.envelope();
    world.tell(envelope, id_ + " deleted",
               customer_event(envelope, "deleted", id_, ""));
  }

  std::string id_;
  std::set<std::string> features_;
  bool summarised_ = false, removed_ = false;
  Claims explicit_, metadata_;
};

void add_ends(Lifecycle& life) {
  for (const auto& [id, truth] : life.sources) {
    for (const auto& [identifier, span] : truth.identifiers) {
      for (Time end : {span.sure, span.maybe}) {
        if (end == 0 || end == kNever) continue;
        life.instants.push_back(end - 1);
        life.instants.push_back(end);
      }
    }
  }
  life.instants.push_back(kStart + 10 * 365 * kDay);
  std::sort(life.instants.begin(), life.instants.end());
}

}  // namespace

void SourceTruth::give(const std::vector<std::string>& all, Time until) {
  for (const std::string& one : all) identifiers[one] = {until, until};
}

Time SourceTruth::last() const {
  Time last = 0;
  for (const auto& [identifier, span] : identifiers) {
    last = std::max(last, span.sure);
  }
  return last;
}

Lifecycle make_lifecycle(std::uint64_t seed, int steps, int pace) {
  World world(seed, pace);
  std::vector<std::unique_ptr<Actor>> actors;
  std::vector<std::pair<CustomerActor*, std::vector<Actor*>>> customers;
  for (int c = 0; c < 2; ++c) {
    std::string customer = "cus_" + std::to_string(c);
    auto owner = std::make_unique<CustomerActor>(customer);
    customers.push_back({owner.get(), {}});
    for (int n = 0; n < 2; ++n) {
      int number = 10 * c + n;
      customers.back().second.push_back(
          actors
              .emplace_back(std::make_unique<SubscriptionActor>(
                  "sub_" + std::to_string(number), customer))
              .get());
      customers.back().second.push_back(
          actors.emplace_back(std::make_unique<PurchaseActor>(number, customer))
              .get());
    }
    actors.push_back(std::move(owner));
  }

  // A guest: no customer, and nobody knows whose it is.
  PurchaseActor* guest = nullptr;
  {
    auto purchase = std::make_unique<PurchaseActor>(90, "");
    guest = purchase.get();
    actors.push_back(std::move(purchase));
  }

  for (int step = 0; step < steps; ++step) {
    world.pass();
    int which = world.pick(static_cast<int>(actors.size()) + 3);
    // One subscription leads a richer life than the others.
    if (which >= static_cast<int>(actors.size())) which = 0;
    actors[static_cast<std::size_t>(which)]->act(world);
  }

  Lifecycle life;
  life.said = std::move(world.said);
  life.instants.assign(world.instants.begin(), world.instants.end());
  for (const auto& [customer, own] : customers) {
    Lifecycle theirs;
    customer->conclude(theirs);
    for (const Actor* actor : own) actor->conclude(theirs);
    for (auto& [id, truth] : theirs.sources) {
      if (customer->removed()) {
        for (auto& [identifier, span] : truth.identifiers) span = {};
      }
      life.sources[id] = truth;
    }
    life.owners.merge(theirs.owners);
  }
  guest->conclude(life);
  add_ends(life);
  return life;
}

}  // namespace entitle::test
