// Money going back: charge.refunded, refund.*, charge.dispute.*. Facts about a
// payment, by the ids of its refunds and disputes; what they mean for a
// purchase is core/access/access.cc's business.
// Source: https://docs.stripe.com/api/refunds/object,
// https://docs.stripe.com/api/disputes/object
#include "core/json/tree.h"
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
  if (payment.empty()) payment = charge;
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

RefundFact refund_fact(const Reading& reading, std::string_view id) {
  RefundFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  fact.id = id;
  return fact;
}

}  // namespace

void charge_refunded_facts(const Reading& reading, Facts& facts) {
  std::string_view charge = stripe::id(reading.object(), "id");
  std::optional<bool> full = json::boolean(reading.object(), "refunded");
  if (charge.empty() || !full) {
    add_note(facts,
             "the charge has no id or does not say whether all is refunded");
    return;
  }
  Payment payment = payment_of(reading, charge, facts);
  RefundFact fact = refund_fact(reading, charge);
  fact.of_charge = true;
  fact.full = *full;
  payment.source->refunds.insert(std::move(fact));
  facts.places.push_back(std::move(payment.own));
}

void refund_facts(const Reading& reading, Facts& facts) {
  const json::Node* refund = reading.object();
  std::string_view id = stripe::id(refund, "id");
  std::string_view status = json::string(refund, "status");
  if (id.empty() || status.empty()) {
    add_note(facts, "the refund has no id or no status");
    return;
  }
  Payment payment = payment_of(reading, stripe::id(refund, "charge"), facts);
  if (payment.source == nullptr) return;
  RefundFact fact = refund_fact(reading, id);
  fact.returned = status == "failed" || status == "canceled";
  payment.source->refunds.insert(std::move(fact));
  facts.places.push_back(std::move(payment.own));
}

void dispute_facts(const Reading& reading, Facts& facts) {
  const json::Node* dispute = reading.object();
  std::string_view id = stripe::id(dispute, "id");
  std::string_view status = json::string(dispute, "status");
  if (id.empty() || status.empty()) {
    add_note(facts, "the dispute has no id or no status");
    return;
  }
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
