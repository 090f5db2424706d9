#include "lua-free-tests/support/truth.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace entitle::test {
namespace {

constexpr Time kHour = 3600, kDay = 24 * kHour;
constexpr Time kGrace = 72 * kHour, kPastDueGrace = 7 * kDay;
// A month more is 28 to 31 days.
constexpr Time kMonthsDiffer = 3 * kDay;
constexpr int kSnapshots = 8;  // are kept of a subscription

void extend(Span& span, Span by) {
  span.sure = std::max(span.sure, by.sure);
  span.maybe = std::max(span.maybe, by.maybe);
}

Span later(Span span, Time by) {
  if (span.sure != 0) span.sure += by;
  if (span.maybe != 0) span.maybe += by;
  return span;
}

// --- one subscription --------------------------------------------------------

// What is known of one price of a subscription.
struct Priced {
  std::string product;
  std::set<std::string> keys;
  Span end;           // of what is paid, or said to be
  bool gone = false;  // and no grace
  int unseen = 0;     // on so many newer lists that were cut
};

class SubscriptionTruth {
 public:
  void hear(const Told& told, const SubscriptionTold& said) {
    const Subscription& now = said.now;
    if (said.type == "deleted" || now.status == "canceled" || now.ended_at) {
      over_ = true;
    }
    if (!told_ || status_ != now.status) since_ = told.at;
    told_ = true;
    told_as_ = said.type;
    status_ = now.status;
    trial_end_ = now.trial_end;
    cancel_ = now.cancel_at;
    names_ = now.names;
    note_ = now.note;
    take_items(now, told.shape);
    if (now.cancel_at_period_end) {
      Time end = now.period_end();
      cancel_ = cancel_ ? std::min(*cancel_, end) : end;
    }
  }

  void hear(const Told& told, const Invoice& invoice) {
    if (invoice.status != "paid" || !heard_.insert(invoice.id).second) return;
    std::vector<Item> shown = shown_of(invoice);
    bool paid_late = told_;
    if (!told_) {
      names_ = invoice.names;
      note_ = invoice.note;
      take_back(invoice);
    } else if (status_ == "incomplete" && told_as_ == "created") {
      status_ = "active";
    }
    if (paid_late && status_ == "past_due") recovered_ = told.at;
    bool names_none = told_;
    Time last = 0;
    for (const Item& line : shown) {
      names_none = names_none && !prices_.contains(line.price);
      last = std::max(last, line.period_end);
    }
    if (names_none) perhaps_go_on(invoice.issued, last);
    for (const Item& line : shown) {
      auto known = prices_.find(line.price);
      if (known == prices_.end()) {
        if (told_) continue;  // names nothing
        known = prices_.try_emplace(line.price).first;
      }
      if (!told_) learn(known->second, line, told.shape);
      Span end = paid_until(invoice, line);
      if (known->second.gone)
        known->second = Priced{
            .product = line.product, .keys = known->second.keys, .end = {}};
      extend(known->second.end, end);
      extend(paid_[line.price], end);
    }
    if (invoice.billing_reason == "subscription_cycle") cycle(invoice, shown);
  }

  void conclude(Right& right) const {
    Span all;
    for (const auto& [price, one] : prices_) {
      Span span = over_ ? Span{} : until(one);
      extend(all, span);
      extend(right.identifiers[price], span);
      extend(right.identifiers[one.product], span);
      for (const std::string& key : one.keys) {
        extend(right.identifiers["lookup_key=" + key], span);
      }
    }
    if (!names_.empty()) extend(right.identifiers["metadata=" + names_], all);
    if (!note_.empty())
      extend(right.identifiers["metadata.note=" + note_], all);
  }

 private:
  static void learn(Priced& known, const Item& item, Shape shape) {
    known.product = item.product;
    if (!item.lookup_key.empty() && shape == Shape::before_basil) {
      known.keys.insert(item.lookup_key);
    }
  }

  // The newest list is the truth; what it does not show may still be there if
  // there is more than it shows.
  void take_items(const Subscription& now, Shape shape) {
    std::map<std::string, Priced> before;
    before.swap(prices_);
    Time latest = now.period_end();
    std::size_t shown = now.items.size();
    if (now.has_more) shown = std::min<std::size_t>(shown, 10);
    for (std::size_t n = 0; n < shown; ++n) {
      const Item& item = now.items[n];
      auto was = before.find(item.price);
      Priced known;
      // A key stays with the price that it was seen with.
      if (was != before.end()) known.keys = was->second.keys;
      before.erase(item.price);
      if (item.quantity && *item.quantity == 0) continue;
      known.product = item.product;
      if (!item.lookup_key.empty()) known.keys.insert(item.lookup_key);
      Time end = shape == Shape::basil ? item.period_end : latest;
      known.end = {end, std::max(end, paid_[item.price].maybe)};
      prices_[item.price] = known;
    }
    if (!now.has_more) return;
    for (auto& [price, one] : before) {
      one.end.maybe = std::max(one.end.maybe, latest);
      if (++one.unseen >= kSnapshots) one.end.sure = 0;
      prices_[price] = one;
    }
  }

  static std::vector<Item> shown_of(const Invoice& invoice) {
    if (!invoice.has_more) return invoice.items;
    std::size_t before = invoice.prorations.size() + invoice.charges.size();
    std::size_t left = before >= 10 ? 0 : 10 - before;
    return {invoice.items.begin(),
            invoice.items.begin() + static_cast<std::ptrdiff_t>(
                                        std::min(left, invoice.items.size()))};
  }

  static Span paid_until(const Invoice& invoice, const Item& line) {
    if (line.period_end > invoice.issued) {
      return {line.period_end, line.period_end};
    }
    // In arrears: as long again.
    Time end = line.period_end + line.period_end - line.period_start;
    return {end - kMonthsDiffer, end + kMonthsDiffer};
  }

  // A credit without any charge.
  void take_back(const Invoice& invoice) {
    if (!invoice.charges.empty()) return;
    for (const Item& credit : invoice.prorations) {
      auto known = prices_.find(credit.price);
      if (known == prices_.end()) continue;
      known->second.end = {0, credit.period_start};
    }
  }

  // Paid is for something that no event of the subscription has told: a plan
  // that took the place of what ends now, or something beside it.
  void perhaps_go_on(Time from, Time until) {
    for (auto& [price, known] : prices_) {
      bool ends = known.end.maybe >= from - (until - from) / 4 &&
                  known.end.sure <= from + (until - from) / 4;
      if (ends) known.end.maybe = std::max(known.end.maybe, until);
    }
  }

  // Of what ended as the cycle began and is not shown.
  void cycle(const Invoice& invoice, const std::vector<Item>& shown) {
    const Time start = invoice.period_end;
    const Time length = invoice.period_end - invoice.period_start;
    const bool hides = invoice.has_more || shown.empty();
    for (auto& [price, known] : prices_) {
      if (is_in(shown, price) || known.end.maybe == 0) continue;
      bool ended = known.end.maybe >= start - kMonthsDiffer &&
                   known.end.sure <= start + kMonthsDiffer;
      if (!ended) continue;
      if (!hides) {
        if (told_) continue;  // the subscription's events tell
        // Whether it ended just then is known where its end is.
        bool surely = known.end.sure == start && known.end.maybe == start;
        known.end.sure = 0;
        known.gone = surely;
        continue;
      }
      const Item* hidden = find(invoice.items, price);
      known.end.maybe =
          std::max(known.end.maybe, start + length + kMonthsDiffer);
      if (hidden != nullptr && known.end.sure == start) {
        known.end.sure = std::max(start, hidden->period_end - kMonthsDiffer);
      }
    }
  }

  static const Item* find(const std::vector<Item>& items,
                          const std::string& price) {
    for (const Item& one : items) {
      if (one.price == price) return &one;
    }
    return nullptr;
  }
  static bool is_in(const std::vector<Item>& items, const std::string& price) {
    return find(items, price) != nullptr;
  }

  Span until(const Priced& one) const {
    if (one.gone) return {};
    Span span;
    if (!told_ || status_ == "active") {
      span = later(one.end, kGrace);
    } else if (status_ == "trialing") {
      Time end = trial_end_.value_or(0);
      span = {end + kGrace, end + kGrace};
      // Whoever has paid for what comes after it is in.
      auto paid = paid_.find(price_of(one));
      if (paid != paid_.end()) extend(span, later(paid->second, kGrace));
    } else if (status_ == "past_due") {
      span = {since_ + kPastDueGrace, since_ + kPastDueGrace};
      if (recovered_ > since_) {
        span.maybe = std::max(span.maybe, one.end.maybe + kGrace);
      }
    }
    if (cancel_) {
      span = {std::min(span.sure, *cancel_), std::min(span.maybe, *cancel_)};
    }
    return span;
  }

  std::string price_of(const Priced& one) const {
    for (const auto& [price, known] : prices_) {
      if (&known == &one) return price;
    }
    return "";
  }

  bool told_ = false, over_ = false;  // told: by an event of its own
  std::string status_, told_as_, names_, note_;
  MaybeTime trial_end_, cancel_;
  Time since_ = 0, recovered_ = 0;
  std::map<std::string, Priced> prices_;
  std::map<std::string, Span> paid_;  // by price
  std::set<std::string> heard_;       // invoices
};

// --- one purchase ------------------------------------------------------------

struct PurchaseTruth {
  std::vector<std::string> identifiers;
  bool paid = false;
};

struct PaymentTruth {
  bool refunded = false;
  std::map<std::string, std::string> disputes;

  bool stands() const {
    return !refunded &&
           std::none_of(disputes.begin(), disputes.end(), [](const auto& one) {
             return one.second == "needs_response" ||
                    one.second == "under_review" || one.second == "lost";
           });
  }
};

// --- everything --------------------------------------------------------------

using Said = std::tuple<Time, std::string, std::string>;  // when, event, user

std::string newest(const std::vector<Said>& all) {
  if (all.empty()) return "";
  return std::get<2>(*std::max_element(all.begin(), all.end()));
}

class Everything {
 public:
  void hear(const Told& told) {
    std::visit([&](const auto& what) { this->take(told, what); }, told.what);
  }

  std::map<std::string, Right> conclude() const {
    std::map<std::string, Right> all;
    for (const auto& [id, one] : subscriptions_) one.conclude(all[id]);
    for (const auto& [id, one] : purchases_) {
      auto payment = payments_.find(payment_of_.at(id));
      bool stands = payment == payments_.end() || payment->second.stands();
      Time until = one.paid && stands ? kNever : 0;
      for (const std::string& identifier : one.identifiers) {
        extend(all[id].identifiers[identifier], {until, until});
      }
    }
    for (auto& [id, right] : all) {
      right.owner = owner_of(id);
      if (!deleted_.contains(customer_of_.at(id))) continue;
      for (auto& [identifier, span] : right.identifiers) span = {};
    }
    return all;
  }

 private:
  void names(const std::string& customer, const std::string& source, Time said,
             const std::string& event, const std::string& user) {
    if (user.empty()) return;
    named_[source].emplace_back(said, event, user);
    if (!customer.empty()) others_[customer].emplace_back(said, event, user);
  }

  void take(const Told& told, const SubscriptionTold& said) {
    const Subscription& now = said.now;
    customer_of_[now.id] = now.customer;
    names(now.customer, now.id, told.at, told.event, now.user);
    subscriptions_[now.id].hear(told, said);
  }

  void take(const Told& told, const Invoice& invoice) {
    customer_of_[invoice.subscription] = invoice.customer;
    Time said = invoice.finalized != 0 ? invoice.finalized : invoice.issued;
    names(invoice.customer, invoice.subscription, said, told.event,
          invoice.user);
    subscriptions_[invoice.subscription].hear(told, invoice);
  }

  void take(const Told& told, const Session& session) {
    const std::string& user = session.client_reference_id.empty()
                                  ? session.user
                                  : session.client_reference_id;
    Time said = session.made != 0 ? session.made : told.at;
    names(session.customer, session.id, said, told.event, user);
    if (!session.subscription.empty()) {
      names(session.customer, session.subscription, said, told.event, user);
    }
    if (session.mode != "payment") return;
    customer_of_[session.id] = session.customer;
    payment_of_[session.id] = session.payment_intent;
    PurchaseTruth& one = purchases_[session.id];
    one.paid |= session.payment_status != "unpaid";
    one.identifiers = {session.payment_link};
    if (!session.names.empty()) {
      one.identifiers.push_back("metadata=" + session.names);
    }
  }

  void take(const Told& told, const PaymentTold& payment) {
    names(payment.customer, payment.id, told.at, told.event, payment.user);
    customer_of_[payment.id] = payment.customer;
    payment_of_[payment.id] = payment.id;
    purchases_[payment.id] = {{"metadata.note=" + payment.note}, true};
  }

  void take(const Told&, const RefundTold& refund) {
    payments_[refund.payment_intent].refunded |= refund.full;
  }
  void take(const Told&, const DisputeTold& dispute) {
    payments_[dispute.payment_intent].disputes[dispute.id] = dispute.status;
  }
  void take(const Told& told, const CustomerTold& customer) {
    if (customer.deleted) deleted_.insert(customer.id);
    if (customer.user.empty()) return;
    metadata_[customer.id].emplace_back(told.at, told.event, customer.user);
  }

  std::string owner_of(const std::string& source) const {
    if (auto own = named_.find(source); own != named_.end()) {
      return newest(own->second);
    }
    const std::string& customer = customer_of_.at(source);
    if (customer.empty()) return "";
    if (auto all = metadata_.find(customer); all != metadata_.end()) {
      return newest(all->second);
    }
    auto all = others_.find(customer);
    return all == others_.end() ? "" : newest(all->second);
  }

  std::map<std::string, SubscriptionTruth> subscriptions_;
  std::map<std::string, PurchaseTruth> purchases_;
  std::map<std::string, PaymentTruth> payments_;
  std::map<std::string, std::string> payment_of_, customer_of_;
  std::set<std::string> deleted_;
  std::map<std::string, std::vector<Said>> named_;     // by source
  std::map<std::string, std::vector<Said>> others_;    // by customer
  std::map<std::string, std::vector<Said>> metadata_;  // by customer
};

}  // namespace

std::map<std::string, Right> rights(std::vector<Told> told) {
  std::sort(told.begin(), told.end(), [](const Told& a, const Told& b) {
    return std::tie(a.at, a.event) < std::tie(b.at, b.event);
  });
  Everything all;
  std::set<std::string> heard;
  for (const Told& one : told) {
    if (heard.insert(one.event).second) all.hear(one);
  }
  return all.conclude();
}

}  // namespace entitle::test
