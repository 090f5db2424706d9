// Payments: payment_intent.succeeded, and money going back: charge.refunded,
// refund.*, charge.dispute.*. Facts about a payment, by the ids of its refunds
// and disputes; what they mean for a purchase is core/access/projection.cc's
// business.
// Source: https://docs.stripe.com/api/refunds/object,
// https://docs.stripe.com/api/disputes/object
#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "core/base/ascii.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxStatusBytes = 64;

struct Payment {
  PlaceFacts own;
  Source* source = nullptr;  // in `own`; null: the event names no payment
};

// The payment intent stands for the payment, else the charge: a checkout
// session names only the former. `charge` is the id of the charge itself.
Payment payment_of(const Reading& reading, std::string_view charge,
                   Facts& facts) {
  const json::Node* object = reading.object();
  const json::Node* expanded = json::member(object, "charge");
  std::string_view payment = stripe::id(object, "payment_intent");
  if (payment.empty()) payment = stripe::id(expanded, "payment_intent");
  if (payment.empty() && !charge.empty()) {
    add_note(facts,
             "it names its charge and no payment intent: it takes back what an "
             "earlier event said to be paid by that charge, else nothing");
    payment = charge;
  }
  if (payment.empty()) {
    add_note(facts, "the event names no payment intent and no charge");
    return {};
  }
  facts.customer = customer_place(reading);
  if (facts.customer.empty()) {
    std::string_view customer = stripe::id(expanded, "customer");
    if (!customer.empty()) facts.customer = reading.qualified(customer);
  }

  Payment result;
  std::string source_id = reading.qualified(payment);
  result.own.place = source_id;
  if (!facts.customer.empty()) {
    // Disputes and, before 2026-07-29, refunds name no customer.
    add_forward(reading, source_id, facts.customer, facts);
    result.own.place = facts.customer;
  }
  result.source = &result.own.sources[source_id];
  result.source->place = result.own.place;
  return result;
}

// Of a payment intent; the list is of before 2022-11-15.
std::string_view charge_of(const json::Node* payment) {
  std::string_view id = stripe::id(payment, "latest_charge");
  for (const json::Node* one :
       json::Children(stripe::list(payment, "charges"))) {
    if (id.empty()) id = stripe::id(one, "id");
  }
  return id;
}

RefundFact refund_fact(const Reading& reading, std::string_view id) {
  RefundFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  fact.id = id;
  return fact;
}

// A refund of an unknown status gives the money back, a dispute takes it.
void warn_unless_known(const Reading& reading, std::string_view what,
                       std::span<const std::string_view> known, Facts& facts) {
  std::string_view status = json::string(reading.object(), "status");
  if (std::find(known.begin(), known.end(), status) != known.end()) return;
  facts.warns = true;
  add_note(facts, "the " + std::string(what) + "'s status \"" +
                      word_of(reading.object(), "status") +
                      "\" is not known: Stripe may have a new word for it, "
                      "look for a newer entitle");
}

}  // namespace

// A purchase of its own (Payment Element), known by its metadata, unless a
// session or an invoice turns out to be what was bought. One that was captured
// by hand is also when the session of it is paid: no other event says so.
void payment_intent_facts(const Reading& reading, Facts& facts) {
  const json::Node* payment = reading.object();
  std::string_view id = stripe::id(payment, "id");
  IdentifierList list(reading.head().account);
  list.add_metadata(reading, json::member(payment, "metadata"));
  std::vector<Identifier> identifiers = std::move(list).sorted();
  bool by_hand = json::string(payment, "capture_method") == "manual";
  if (id.empty() || json::string(payment, "status") != "succeeded" ||
      !stripe::id(payment, "invoice").empty() ||
      (identifiers.empty() && !by_hand)) {
    add_note(facts,
             "the payment belongs to an invoice or its metadata names nothing "
             "to unlock");
    return;
  }
  if (identifiers.empty()) {
    add_note(facts,
             "captured by hand: what was sold, its session's "
             "checkout.session.completed says");
  }
  facts.customer = customer_place(reading);
  facts.email = lower_case(json::string(payment, "receipt_email"));
  facts.identifiers = identifiers;
  std::string source_id = reading.qualified(id);
  std::string place = facts.customer;
  if (place.empty()) {
    place = source_id;
  } else {
    add_forward(reading, source_id, place, facts);
  }
  UserHints hints;
  hints.metadata = json::member(payment, "metadata");
  hints.metadata_kind = ClaimKind::session_metadata;
  hints.email = facts.email;
  hints.said = stripe::time(payment, "created");
  hints.about = {source_id};
  PlaceFacts own = own_place(reading, std::move(place), hints, facts);
  SessionFact fact = payment_link(reading, source_id);
  std::string_view charge = charge_of(payment);
  if (!charge.empty()) fact.charge = reading.qualified(charge);
  add_charge(reading, fact, own, facts);
  fact.paid = true;
  fact.identifiers = std::move(identifiers);
  Source& source = own.sources[source_id];
  source.place = own.place;
  source.sessions.insert(std::move(fact));
  facts.places.push_back(std::move(own));
}

void charge_refunded_facts(const Reading& reading, Facts& facts) {
  std::string_view charge = stripe::id(reading.object(), "id");
  std::optional<bool> full = json::boolean(reading.object(), "refunded");
  if (charge.empty() || !full) {
    facts.warns = true;
    add_note(facts,
             "the charge has no id or does not say whether all is refunded");
    return;
  }
  Payment payment = payment_of(reading, charge, facts);
  RefundFact fact = refund_fact(reading, charge);
  fact.of_charge = true;
  fact.full = *full;
  fact.amount = amount(reading.object(), "amount_refunded");
  fact.charged = amount(reading.object(), "amount_captured");
  if (fact.charged == 0) fact.charged = amount(reading.object(), "amount");
  payment.source->refunds.insert(std::move(fact));
  facts.places.push_back(std::move(payment.own));
}

void refund_facts(const Reading& reading, Facts& facts) {
  const json::Node* refund = reading.object();
  std::string_view id = stripe::id(refund, "id");
  std::string_view status = json::string(refund, "status");
  if (id.empty() || status.empty()) {
    facts.warns = true;
    add_note(facts, "the refund has no id or no status");
    return;
  }
  static constexpr std::string_view kRefund[] = {
      "pending", "requires_action", "succeeded", "failed", "canceled"};
  warn_unless_known(reading, "refund", kRefund, facts);
  Payment payment = payment_of(reading, stripe::id(refund, "charge"), facts);
  if (payment.source == nullptr) return;
  RefundFact fact = refund_fact(reading, id);
  fact.returned = status == "failed" || status == "canceled";
  fact.amount = amount(refund, "amount");
  payment.source->refunds.insert(std::move(fact));
  facts.places.push_back(std::move(payment.own));
}

void dispute_facts(const Reading& reading, Facts& facts) {
  const json::Node* dispute = reading.object();
  std::string_view id = stripe::id(dispute, "id");
  std::string_view status = json::string(dispute, "status");
  if (id.empty() || status.empty()) {
    facts.warns = true;
    add_note(facts, "the dispute has no id or no status");
    return;
  }
  static constexpr std::string_view kDispute[] = {
      "needs_response", "under_review",          "won",
      "lost",           "warning_under_review",  "prevented",
      "warning_closed", "warning_needs_response"};
  warn_unless_known(reading, "dispute", kDispute, facts);
  Payment payment = payment_of(reading, stripe::id(dispute, "charge"), facts);
  if (payment.source == nullptr) return;
  DisputeFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  fact.id = id;
  fact.status = status.substr(0, kMaxStatusBytes);
  payment.source->disputes.insert(std::move(fact));
  facts.places.push_back(std::move(payment.own));
}

}  // namespace entitle
