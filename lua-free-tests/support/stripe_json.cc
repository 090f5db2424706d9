#include "lua-free-tests/support/stripe_json.h"

#include <algorithm>

namespace entitle::test {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string quoted_or_null(std::string_view text) {
  return text.empty() ? "null" : quoted(text);
}

std::string number_or_null(const MaybeTime& time) {
  return time ? std::to_string(*time) : "null";
}

// An object, member by member.
class Object {
 public:
  Object& raw(std::string_view key, std::string_view json) {
    text_ += text_.empty() ? "{" : ",";
    text_ += quoted(key);
    text_ += ':';
    text_ += json;
    return *this;
  }
  Object& text(std::string_view key, std::string_view value) {
    return raw(key, quoted(value));
  }
  Object& maybe(std::string_view key, std::string_view value) {
    return raw(key, quoted_or_null(value));
  }
  Object& flag(std::string_view key, bool value) {
    return raw(key, value ? "true" : "false");
  }
  Object& time(std::string_view key, const MaybeTime& value) {
    return raw(key, number_or_null(value));
  }
  bool empty() const { return text_.empty(); }
  std::string str() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  std::string text_;
};

std::string array(const std::vector<std::string>& elements) {
  std::string out = "[";
  for (const std::string& element : elements) {
    if (out.size() > 1) out += ',';
    out += element;
  }
  return out + ']';
}

std::string list(const std::vector<std::string>& elements, bool has_more) {
  return Object()
      .text("object", "list")
      .raw("data", array(elements))
      .flag("has_more", has_more)
      .str();
}

std::string event(const Envelope& envelope, std::string_view type,
                  std::string_view object, std::string_view previous = {}) {
  Object data;
  data.raw("object", object);
  if (!previous.empty()) data.raw("previous_attributes", previous);
  Object out;
  out.text("id", envelope.id).text("object", "event");
  if (!envelope.account.empty()) out.text("account", envelope.account);
  out.text("api_version",
           envelope.shape == Shape::basil ? "2025-08-27.basil" : "2024-06-20");
  out.time("created", envelope.created).raw("data", data.str());
  out.flag("livemode", envelope.livemode).raw("pending_webhooks", "1");
  out.raw("request", R"({"id":null,"idempotency_key":null})");
  return out.text("type", type).str();
}

std::string price_json(const Item& item) {
  return Object()
      .text("id", item.price)
      .text("object", "price")
      .maybe("lookup_key", item.lookup_key)
      .text("product", item.product)
      .str();
}

std::string metadata_json(std::string_view user, std::string_view names,
                          std::string_view note = {},
                          std::string_view user_key = "user_id") {
  Object out;
  if (!user.empty()) out.text(user_key, user);
  if (!names.empty()) out.text("entitlements", names);
  if (!note.empty()) out.text("note", note);
  return out.str();
}

std::string items_json(const Subscription& sub, Shape shape) {
  std::vector<std::string> items;
  for (const Item& item : sub.items) {
    Object out;
    out.text("id", "si_" + item.price).text("object", "subscription_item");
    out.raw("price", price_json(item));
    if (item.quantity) out.raw("quantity", std::to_string(*item.quantity));
    if (shape == Shape::basil) out.time("current_period_end", item.period_end);
    items.push_back(out.str());
    if (sub.has_more && items.size() == 10) break;
  }
  return array(items);
}

std::string pause_json(const Subscription& sub) {
  if (sub.pause_collection.empty()) return "null";
  return Object()
      .text("behavior", sub.pause_collection)
      .time("resumes_at", sub.resumes_at)
      .str();
}

std::string subscription_json(const Subscription& sub, Shape shape) {
  Object out;
  out.text("id", sub.id).text("object", "subscription");
  out.time("cancel_at", sub.cancel_at);
  out.flag("cancel_at_period_end", sub.cancel_at_period_end);
  if (shape == Shape::before_basil) {
    out.time("current_period_end", sub.period_end());
  }
  out.text("customer", sub.customer).time("ended_at", sub.ended_at);
  out.raw("items", Object()
                       .text("object", "list")
                       .raw("data", items_json(sub, shape))
                       .flag("has_more", sub.has_more)
                       .str());
  out.raw("metadata",
          metadata_json(sub.user, sub.names, sub.note, sub.user_key));
  out.raw("pause_collection", pause_json(sub));
  return out.text("status", sub.status).time("trial_end", sub.trial_end).str();
}

std::string previous_pause_json(const Subscription& now,
                                const Subscription& before) {
  if (now.pause_collection.empty() || before.pause_collection.empty()) {
    return pause_json(before);
  }
  Object out;
  if (now.pause_collection != before.pause_collection) {
    out.text("behavior", before.pause_collection);
  }
  if (now.resumes_at != before.resumes_at) {
    out.time("resumes_at", before.resumes_at);
  }
  return out.str();
}

// Only what changed; arrays whole, of objects the changed keys.
std::string previous_json(const Subscription& now, const Subscription& before,
                          Shape shape) {
  Object out;
  if (now.status != before.status) out.text("status", before.status);
  if (now.trial_end != before.trial_end) {
    out.time("trial_end", before.trial_end);
  }
  if (now.cancel_at != before.cancel_at) {
    out.time("cancel_at", before.cancel_at);
  }
  if (now.ended_at != before.ended_at) out.time("ended_at", before.ended_at);
  if (now.cancel_at_period_end != before.cancel_at_period_end) {
    out.flag("cancel_at_period_end", before.cancel_at_period_end);
  }
  if (items_json(now, shape) != items_json(before, shape)) {
    out.raw("items", Object().raw("data", items_json(before, shape)).str());
  }
  if (shape == Shape::before_basil && now.period_end() != before.period_end()) {
    out.time("current_period_end", before.period_end());
  }
  if (pause_json(now) != pause_json(before)) {
    out.raw("pause_collection", previous_pause_json(now, before));
  }
  Object metadata;
  if (now.user != before.user) metadata.maybe(now.user_key, before.user);
  if (now.names != before.names) metadata.maybe("entitlements", before.names);
  if (now.note != before.note) metadata.maybe("note", before.note);
  if (!metadata.empty()) out.raw("metadata", metadata.str());
  return out.str();
}

// A line of an item that waited for the next invoice.
void add_waited(const Invoice& invoice, bool proration, Shape shape,
                Object& out) {
  if (shape == Shape::before_basil) {
    out.flag("proration", proration).text("type", "invoiceitem");
    out.text("invoice_item", "ii_1").text("subscription", invoice.subscription);
    return;
  }
  Object details;
  details.text("invoice_item", "ii_1").flag("proration", proration);
  details.text("subscription", invoice.subscription);
  out.raw("parent", Object()
                        .text("type", "invoice_item_details")
                        .raw("invoice_item_details", details.str())
                        .raw("subscription_item_details", "null")
                        .str());
}

std::string pricing_json(const Item& item) {
  return Object()
      .raw("price_details", Object()
                                .text("price", item.price)
                                .text("product", item.product)
                                .str())
      .str();
}

std::string besides_line(const Invoice& invoice, const Item& item,
                         Shape shape) {
  Object out;
  out.text("object", "line_item").raw("amount", "4900");
  out.raw("period", R"({"start":1,"end":1})");
  if (shape == Shape::before_basil) {
    out.raw("price", price_json(item)).raw("plan", "null");
  } else {
    out.raw("pricing", pricing_json(item));
  }
  add_waited(invoice, false, shape, out);
  return out.str();
}

std::string invoice_line(const Invoice& invoice, const Item& item,
                         bool proration, std::string_view amount, Shape shape) {
  Object out, period;
  period.time("end", item.period_end);
  if (item.period_start != 0) period.time("start", item.period_start);
  out.text("object", "line_item").raw("amount", amount);
  out.raw("period", period.str());
  if (proration && invoice.waited) {
    if (shape == Shape::before_basil) {
      out.raw("price", price_json(item));
    } else {
      out.raw("pricing", pricing_json(item));
    }
    add_waited(invoice, true, shape, out);
    return out.str();
  }
  if (shape == Shape::before_basil) {
    out.raw("price", price_json(item)).flag("proration", proration);
    out.text("subscription", invoice.subscription);
    return out.text("type", "subscription").str();
  }
  out.raw("parent", Object()
                        .text("type", "subscription_item_details")
                        .raw("subscription_item_details",
                             Object()
                                 .flag("proration", proration)
                                 .text("subscription", invoice.subscription)
                                 .str())
                        .str());
  return out.raw("pricing", pricing_json(item)).str();
}

Object payment_object(std::string_view kind, std::string_view id,
                      const Payment& payment) {
  Object out;
  out.text("id", id).text("object", kind).maybe("charge", payment.charge);
  out.maybe("payment_intent", payment.intent);
  return out;
}

std::vector<std::string> entitlement_jsons(
    const std::vector<std::string>& features) {
  std::vector<std::string> out;
  for (const std::string& feature : features) {
    out.push_back(Object()
                      .text("object", "entitlements.active_entitlement")
                      .text("feature", "feat_" + feature)
                      .text("lookup_key", feature)
                      .str());
  }
  return out;
}

}  // namespace

Item item(const std::string& p, Time period_end) {
  return {"price_" + p, "prod_" + p, p + "_key", period_end};
}

Time Subscription::period_end() const {
  Time end = 0;
  for (const Item& item : items) end = std::max(end, item.period_end);
  return end;
}

std::vector<std::string> Subscription::identifiers() const {
  std::vector<std::string> out;
  for (const Item& item : items) {
    out.push_back(item.price);
    out.push_back(item.product);
    if (!item.lookup_key.empty())
      out.push_back("lookup_key=" + item.lookup_key);
  }
  if (!names.empty()) out.push_back("metadata=" + names);
  if (!note.empty()) out.push_back("metadata.note=" + note);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string subscription_event(const Envelope& envelope, std::string_view type,
                               const Subscription& now,
                               const Subscription* before) {
  std::string previous;
  if (before != nullptr) previous = previous_json(now, *before, envelope.shape);
  return event(envelope, "customer.subscription." + std::string(type),
               subscription_json(now, envelope.shape), previous);
}

std::string invoice_event(const Envelope& envelope, std::string_view type,
                          const Invoice& invoice) {
  std::vector<std::string> lines;
  for (const Item& item : invoice.prorations) {
    lines.push_back(invoice_line(invoice, item, true, "-100", envelope.shape));
  }
  for (const Item& item : invoice.charges) {
    lines.push_back(invoice_line(invoice, item, true, "70", envelope.shape));
  }
  for (const Item& item : invoice.besides) {
    lines.push_back(besides_line(invoice, item, envelope.shape));
  }
  for (const Item& item : invoice.items) {
    lines.push_back(invoice_line(invoice, item, false, "1500", envelope.shape));
  }
  if (invoice.has_more && lines.size() > 10) lines.resize(10);
  Object out;
  out.text("id", invoice.id).text("object", "invoice");
  out.time("created", invoice.issued ? invoice.issued : envelope.created);
  if (invoice.finalized != 0) {
    out.raw("status_transitions",
            Object().time("finalized_at", invoice.finalized).str());
  }
  out.text("customer", invoice.customer);
  out.maybe("customer_email", invoice.email);
  out.raw("lines", list(lines, invoice.has_more));
  out.maybe("billing_reason", invoice.billing_reason);
  if (invoice.free) out.raw("total", "0");
  if (invoice.amount_paid != 0) {
    out.raw("amount_paid", std::to_string(invoice.amount_paid));
  }
  if (invoice.period_end != 0) {
    out.time("period_start", invoice.period_start);
    out.time("period_end", invoice.period_end);
  }
  std::string metadata = metadata_json(invoice.user, invoice.names,
                                       invoice.note, invoice.user_key);
  std::string details = Object()
                            .raw("metadata", metadata)
                            .text("subscription", invoice.subscription)
                            .str();
  if (envelope.shape == Shape::before_basil) {
    out.text("subscription", invoice.subscription);
    out.maybe("payment_intent", invoice.payment_intent);
    out.raw("subscription_details", Object().raw("metadata", metadata).str());
  } else if (!invoice.subscription.empty()) {
    out.raw("parent", Object()
                          .text("type", "subscription_details")
                          .raw("subscription_details", details)
                          .str());
  }
  if (invoice.subscription.empty()) out.raw("metadata", metadata);
  out.text("status", invoice.status);
  return event(envelope, "invoice." + std::string(type), out.str());
}

std::string invoice_payment_event(const Envelope& envelope,
                                  std::string_view invoice,
                                  std::string_view payment_intent,
                                  int amount_paid) {
  std::string payment = Object()
                            .text("type", "payment_intent")
                            .text("payment_intent", payment_intent)
                            .str();
  Object out;
  out.text("id", "inpay_1").text("object", "invoice_payment");
  out.text("invoice", invoice).text("status", "paid").raw("payment", payment);
  if (amount_paid != 0) out.raw("amount_paid", std::to_string(amount_paid));
  return event(envelope, "invoice_payment.paid", out.str());
}

std::string session_event(const Envelope& envelope, std::string_view type,
                          const Session& session) {
  Object out;
  out.text("id", session.id).text("object", "checkout.session");
  out.time("created", session.made ? session.made : envelope.created);
  out.maybe("client_reference_id", session.client_reference_id);
  out.maybe("customer", session.customer);
  out.raw("customer_details", Object().maybe("email", session.email).str());
  out.raw("metadata",
          metadata_json(session.user, session.names, {}, session.user_key));
  out.text("mode", session.mode);
  out.maybe("payment_intent", session.payment_intent);
  out.maybe("payment_link", session.payment_link);
  out.text("payment_status", session.payment_status);
  out.text("status", "complete").maybe("subscription", session.subscription);
  return event(envelope, "checkout.session." + std::string(type), out.str());
}

std::string charge_refunded_event(const Envelope& envelope,
                                  const Payment& payment, bool full) {
  Object out;
  out.text("id", payment.charge).text("object", "charge");
  const std::string amount = std::to_string(payment.amount);
  out.raw("amount", amount).raw("amount_refunded", full ? amount : "100");
  out.maybe("customer", payment.customer);
  out.maybe("payment_intent", payment.intent).flag("refunded", full);
  return event(envelope, "charge.refunded", out.str());
}

std::string payment_event(const Envelope& envelope, const Payment& payment,
                          std::string_view user, std::string_view note) {
  Object out;
  out.text("id", payment.intent).text("object", "payment_intent");
  out.raw("amount", std::to_string(payment.amount));
  out.maybe("customer", payment.customer);
  out.text("latest_charge", payment.charge);
  out.raw("metadata", metadata_json(user, "", note));
  out.text("status", "succeeded");
  return event(envelope, "payment_intent.succeeded", out.str());
}

std::string refund_event(const Envelope& envelope, std::string_view type,
                         const Payment& payment, std::string_view id,
                         std::string_view status, int amount) {
  Object out = payment_object("refund", id, payment);
  out.raw("amount", std::to_string(amount));
  if (envelope.shape == Shape::basil) out.maybe("customer", payment.customer);
  return event(envelope, type, out.text("status", status).str());
}

std::string dispute_event(const Envelope& envelope, std::string_view type,
                          const Payment& payment, std::string_view id,
                          std::string_view status) {
  Object out = payment_object("dispute", id, payment);
  return event(envelope, "charge.dispute." + std::string(type),
               out.text("status", status).str());
}

std::string summary_event(const Envelope& envelope, std::string_view customer,
                          const std::vector<std::string>& features,
                          bool has_more,
                          const std::vector<std::string>* previous) {
  std::string before;
  if (previous != nullptr) {
    before = Object()
                 .raw("entitlements", list(entitlement_jsons(*previous), false))
                 .str();
  }
  std::string object =
      Object()
          .text("object", "entitlements.active_entitlement_summary")
          .text("customer", customer)
          .raw("entitlements", list(entitlement_jsons(features), has_more))
          .str();
  return event(envelope, "entitlements.active_entitlement_summary.updated",
               object, before);
}

std::string customer_event(const Envelope& envelope, std::string_view type,
                           std::string_view id, std::string_view user,
                           std::string_view email) {
  Object out;
  out.text("id", id).text("object", "customer").maybe("email", email);
  out.raw("metadata", metadata_json(user, ""));
  return event(envelope, "customer." + std::string(type), out.str());
}

}  // namespace entitle::test
