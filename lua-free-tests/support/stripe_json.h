// Writes Stripe's events as Stripe would, in the shape before and after
// 2025-03-31.basil. Knows Stripe's documents and nothing of core/: what tests
// expect must not come from what they test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle::test {

enum class Shape { before_basil, basil };

using Time = std::int64_t;  // unix seconds
using MaybeTime = std::optional<Time>;

struct Item {
  std::string price, product, lookup_key;
  Time period_end = 0, period_start = 0;  // 0: not said
  std::optional<int> quantity = {};       // not said: metered
  bool operator==(const Item&) const = default;
};

// The names `p` gives an item for short: price_<p>, prod_<p>, <p>_key.
Item item(const std::string& p, Time period_end);

struct Subscription {
  std::string id = "sub_1", customer = "cus_1";
  std::string status = "active";
  std::vector<Item> items = {};
  MaybeTime trial_end = {}, cancel_at = {}, ended_at = {};
  bool cancel_at_period_end = false;
  std::string user = {}, names = {},
              note = {};  // metadata user_id, entitlements, note
  bool has_more = false;
  std::string pause_collection = {};  // its behavior; empty: it is not paused
  MaybeTime resumes_at = {};
  std::string user_key = "user_id";  // by which metadata names the user

  Time period_end() const;
  std::vector<std::string> identifiers()
      const;  // sorted, as entitle names them
};

struct Envelope {
  std::string id;
  Time created = 0;
  Shape shape = Shape::basil;
  bool livemode = false;
  std::string account = {};
};

// `type` without "customer.subscription."; `before` gives previous_attributes.
std::string subscription_event(const Envelope&, std::string_view type,
                               const Subscription& now,
                               const Subscription* before = nullptr);

struct Invoice {
  std::string id = "in_1", customer = "cus_1", subscription = "sub_1";
  std::vector<Item> items = {};       // their period_end is the line's
  std::vector<Item> prorations = {};  // credits, for the price left
  std::vector<Item> charges = {};     // prorations, for the price come to
  std::vector<Item> besides = {};     // sold once, on a subscription's invoice
  bool waited = false;  // prorations are items that waited for this invoice
  std::string payment_intent = {};  // said before basil only
  int amount_paid = 0;              // 0: not said
  Time issued = 0;
  std::string user = {}, email = {};
  Time finalized = 0;  // 0: it does not say
  std::string status = "paid", billing_reason = {};
  Time period_start = 0, period_end = 0;  // one period back; 0: not said
  bool has_more = false;                  // ten lines are listed
  bool free = false;                      // its total is 0; else it says none
  std::string names = {}, note = {}, user_key = "user_id";
};
// `type` without "invoice.".
std::string invoice_event(const Envelope&, std::string_view type,
                          const Invoice&);

// invoice_payment.paid; an amount of 0 is not said.
std::string invoice_payment_event(const Envelope&, std::string_view invoice,
                                  std::string_view payment_intent,
                                  int amount_paid = 0);

struct Session {
  std::string id = "cs_1", customer = "cus_1";  // empty: null
  std::string mode = "payment", payment_status = "paid";
  std::string payment_intent = {}, payment_link = {}, subscription = {};
  std::string client_reference_id = {}, user = {}, names = {}, email = {};
  Time made = 0;  // 0: when the event was
  std::string user_key = "user_id";
};
// `type` without "checkout.session.".
std::string session_event(const Envelope&, std::string_view type,
                          const Session&);

struct Payment {
  std::string intent = "pi_1", charge = "ch_1", customer = {};
  int amount = 4900;
};
std::string charge_refunded_event(const Envelope&, const Payment&, bool full);
// payment_intent.succeeded, with metadata of its own.
std::string payment_event(const Envelope&, const Payment&,
                          std::string_view user, std::string_view note);
// `type`: refund.created, refund.updated, refund.failed, charge.refund.updated
std::string refund_event(const Envelope&, std::string_view type, const Payment&,
                         std::string_view id, std::string_view status,
                         int amount = 4900);
// `type` without "charge.dispute."
std::string dispute_event(const Envelope&, std::string_view type,
                          const Payment&, std::string_view id,
                          std::string_view status);

std::string summary_event(const Envelope&, std::string_view customer,
                          const std::vector<std::string>& features,
                          bool has_more,
                          const std::vector<std::string>* previous = nullptr);

// `type` without "customer."
std::string customer_event(const Envelope&, std::string_view type,
                           std::string_view id, std::string_view user,
                           std::string_view email = "");

}  // namespace entitle::test
