// invoice.paid and its twin invoice.payment_succeeded: until when a
// subscription is paid for, where no subscription event says so.
// Source: https://docs.stripe.com/api/invoices/object; the old shape and the
// one of 2025-03-31.basil are both looked for, per field.
#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

const json::Node* subscription_details(const json::Node* invoice) {
  return json::member(json::member(invoice, "parent"), "subscription_details");
}

const json::Node* item_details(const json::Node* line) {
  return json::member(json::member(line, "parent"),
                      "subscription_item_details");
}

bool is_subscription_line(const json::Node* line) {
  std::string_view kind = json::string(json::member(line, "parent"), "type");
  if (!kind.empty()) {
    // Without the details nobody says that it is no proration.
    return kind == "subscription_item_details" &&
           json::is_object(item_details(line));
  }
  kind = json::string(line, "type");
  if (!kind.empty()) return kind == "subscription";
  return !stripe::id(line, "subscription").empty() ||
         json::is_object(item_details(line));
}

bool is_proration(const json::Node* line) {
  return json::boolean(line, "proration").value_or(false) ||
         json::boolean(item_details(line), "proration").value_or(false);
}

// What is being paid for from here on. A proration is about the past: its
// price may be the one just left.
bool pays_ahead(const json::Node* line) {
  return is_subscription_line(line) && !is_proration(line) &&
         json::integer(line, "amount").value_or(0) >= 0;
}

void add_line(const json::Node* line, IdentifierList& list) {
  list.add_price(json::member(line, "price"));
  if (!json::is_object(json::member(line, "price"))) {
    list.add_price(json::member(line, "plan"));
  }
  list.add_price(json::member(
      json::member(json::member(line, "pricing"), "price_details"), "price"));
  list.add_id(stripe::id(
      json::member(json::member(line, "pricing"), "price_details"), "product"));
}

std::string_view subscription_of(const json::Node* invoice) {
  std::string_view id = stripe::id(invoice, "subscription");
  if (id.empty())
    id = stripe::id(subscription_details(invoice), "subscription");
  for (const json::Node* line :
       json::Children(stripe::list(invoice, "lines"))) {
    if (!id.empty()) break;
    id = stripe::id(line, "subscription");
    if (id.empty()) id = stripe::id(item_details(line), "subscription");
  }
  return id;
}

const json::Node* subscription_metadata(const json::Node* invoice) {
  const json::Node* metadata =
      json::member(subscription_details(invoice), "metadata");
  if (json::is_object(metadata)) return metadata;
  return json::member(json::member(invoice, "subscription_details"),
                      "metadata");
}

// An invoice's copy of the subscription's metadata is as old as its
// finalization, however late it is paid.
std::optional<UnixTime> said_at(const json::Node* invoice) {
  std::optional<UnixTime> finalized =
      stripe::time(json::member(invoice, "status_transitions"), "finalized_at");
  return finalized ? finalized : stripe::time(invoice, "created");
}

std::optional<PaidInvoice> paid_invoice(const Reading& reading) {
  const json::Node* invoice = reading.object();
  IdentifierList list(reading.head().account);
  std::optional<UnixTime> period_end;
  for (const json::Node* line :
       json::Children(stripe::list(invoice, "lines"))) {
    if (!pays_ahead(line)) continue;
    period_end =
        std::max(period_end, stripe::time(json::member(line, "period"), "end"));
    if (!list.truncated()) add_line(line, list);
  }
  if (!period_end) return std::nullopt;
  list.add_names(subscription_metadata(invoice));

  PaidInvoice paid;
  paid.event = reading.head().id;
  paid.created = reading.head().created;
  paid.issued = stripe::time(invoice, "created").value_or(paid.created);
  paid.invoice = stripe::id(invoice, "id");
  paid.period_end = *period_end;
  paid.identifiers = std::move(list).sorted();
  return paid;
}

}  // namespace

void invoice_paid_facts(const Reading& reading, Facts& facts) {
  const json::Node* invoice = reading.object();
  facts.customer = customer_place(reading);
  facts.email = lower_case(json::string(invoice, "customer_email"));
  std::string_view subscription = subscription_of(invoice);
  if (facts.customer.empty() || subscription.empty()) {
    add_note(facts, "the invoice is for no subscription, or has no customer");
    return;
  }

  UserHints hints;
  hints.metadata = subscription_metadata(invoice);
  hints.metadata_kind = ClaimKind::subscription_metadata;
  hints.email = facts.email;
  hints.said = said_at(invoice);
  hints.about = {reading.qualified(subscription)};
  PlaceFacts own = own_place(reading, facts.customer, hints, facts);

  if (std::optional<PaidInvoice> paid = paid_invoice(reading)) {
    facts.identifiers = paid->identifiers;
    Source& source = own.sources[reading.qualified(subscription)];
    source.place = own.place;
    source.invoice = *std::move(paid);
  } else {
    add_note(facts, "the invoice pays for no period to come");
  }
  facts.places.push_back(std::move(own));
}

// Stripe leaves such a subscription active and never bills it again: only a
// person can help.
void invoice_not_finalized_facts(const Reading& reading, Facts& facts) {
  facts.customer = customer_place(reading);
  facts.note =
      "the invoice could not be finalized: its subscription stays "
      "active without being billed until somebody mends it in Stripe";
}

}  // namespace entitle
