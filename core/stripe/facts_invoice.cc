// invoice.paid and its twin invoice.payment_succeeded: until when a
// subscription is paid for, where no subscription event says so, or, for no
// subscription, what was bought.
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
#include "core/stripe/invoice_line.h"
#include "core/stripe/object.h"
#include "core/stripe/period.h"

namespace entitle {
namespace {

const json::Node* subscription_details(const json::Node* invoice) {
  return json::member(json::member(invoice, "parent"), "subscription_details");
}

bool lacks_lookup_keys(const json::Node* invoice) {
  for (const json::Node* line :
       json::Children(stripe::list(invoice, "lines"))) {
    if (price_details(line) != nullptr) return true;
  }
  return false;
}

// Of an InvoicePayment: the payment intent, or the charge that came without.
std::string_view invoice_payment(const json::Node* paid) {
  const json::Node* payment = json::member(paid, "payment");
  std::string_view id = stripe::id(payment, "payment_intent");
  return id.empty() ? stripe::id(payment, "charge") : id;
}

std::string_view subscription_of(const json::Node* invoice) {
  std::string_view id = stripe::id(invoice, "subscription");
  if (id.empty())
    id = stripe::id(subscription_details(invoice), "subscription");
  for (const json::Node* line :
       json::Children(stripe::list(invoice, "lines"))) {
    if (!id.empty()) break;
    id = subscription_of_line(line);
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

std::vector<Identifier> identifiers_of(const Reading& reading,
                                       const json::Node* line) {
  IdentifierList list(reading.head().account);
  add_line(line, list);
  return std::move(list).sorted();
}

Listing lines_of(const Reading& reading) {
  return listing(reading, "lines", Listed::lines);
}

bool has_more_lines(const Reading& reading) {
  return lines_of(reading).has_more;
}

// What a line of the plan pays for. Its period is to come, or it was over when
// the invoice was made: then it was for using what goes on being used.
ItemPeriod paid_line(const Reading& reading, const json::Node* line,
                     UnixTime issued) {
  const json::Node* period = json::member(line, "period");
  std::optional<UnixTime> start = stripe::time(period, "start");
  ItemPeriod paid{identifiers_of(reading, line), stripe::time(period, "end")};
  paid.arrears = paid.end && *paid.end <= issued;
  if (paid.arrears && start && *start < *paid.end) {
    paid.end = stripe::next_period_end(*start, *paid.end);
  }
  return paid;
}

// Prices that are credited while nothing is charged for the same time: who goes
// from the year to the month, or drops an item, has the rest of it no more.
// With a change of plan in between there are charges, which name no plan.
std::vector<Returned> returned_by(const Reading& reading) {
  std::vector<Returned> returned;
  if (has_more_lines(reading)) return returned;
  for (const json::Node* line : lines_of(reading).members) {
    if (!is_proration(line)) continue;
    if (json::integer(line, "amount").value_or(0) >= 0) return {};
    std::optional<UnixTime> from =
        stripe::time(json::member(line, "period"), "start");
    if (!from) continue;
    for (const Identifier& identifier : identifiers_of(reading, line)) {
      if (is_price(identifier)) returned.push_back({identifier.str(), *from});
    }
  }
  std::sort(returned.begin(), returned.end());
  return returned;
}

std::optional<PaidInvoice> paid_invoice(const Reading& reading) {
  const json::Node* invoice = reading.object();
  PaidInvoice paid;
  paid.event = reading.head().id;
  paid.created = reading.head().created;
  paid.issued = stripe::time(invoice, "created").value_or(paid.created);
  paid.invoice = stripe::id(invoice, "id");

  IdentifierList list(reading.head().account);
  for (const json::Node* line : lines_of(reading).members) {
    if (!shows_plan(line) || list.truncated()) continue;
    ItemPeriod item = paid_line(reading, line, paid.issued);
    if (!item.end || item.identifiers.empty()) continue;
    paid.period_end = std::max(paid.period_end, *item.end);
    paid.items.push_back(std::move(item));
    add_line(line, list);
  }
  if (paid.items.empty()) return std::nullopt;
  list.add_metadata(reading, subscription_metadata(invoice));
  paid.identifiers = std::move(list).sorted();
  for (ItemPeriod& item : paid.items) {
    item.keep_only(paid.identifiers);
  }
  paid.items = joined_items(std::move(paid.items));
  const ItemPeriod& first = paid.items.front();
  if (paid.items.size() == 1 && !first.arrears &&
      first.end == paid.period_end) {
    paid.items.clear();
  }
  paid.returned = returned_by(reading);
  paid.free = json::integer(invoice, "total").value_or(1) <= 0;
  return paid;
}

// Of a line that is paid ahead: what was used is no period to come.
void add_paid_period(const Reading& reading, const json::Node* line,
                     Source& source) {
  const json::Node* invoice = reading.object();
  const json::Node* said = json::member(line, "period");
  PeriodFact period;
  period.from = stripe::time(said, "start").value_or(UnixTime{});
  period.until = stripe::time(said, "end").value_or(UnixTime{});
  period.quantity = quantity_of(line);
  period.paid = true;
  const UnixTime issued =
      stripe::time(invoice, "created").value_or(reading.head().created);
  if (period.until <= issued) return;
  add_periods(reading, identifiers_of(reading, line), period, source);
}

// A cycle whose lines do not show the whole plan: there are more of them than
// are listed, or prorations only. `period_start` and `period_end` of an invoice
// look one period back.
std::optional<Renewal> renewal(const Reading& reading, bool shows_plan) {
  const json::Node* invoice = reading.object();
  if (json::string(invoice, "billing_reason") != "subscription_cycle" ||
      (shows_plan && !has_more_lines(reading))) {
    return std::nullopt;
  }
  std::optional<UnixTime> start = stripe::time(invoice, "period_start");
  std::optional<UnixTime> end = stripe::time(invoice, "period_end");
  if (!start || !end || *start >= *end) return std::nullopt;
  return Renewal{reading.head().id, reading.head().created,
                 std::string(stripe::id(invoice, "id")), *end,
                 stripe::next_period_end(*start, *end)};
}

bool is_paid(const json::Node* invoice) {
  std::string_view status = json::string(invoice, "status");
  if (!status.empty()) return status == "paid";
  return json::boolean(invoice, "paid").value_or(false);  // before 2018-11
}

void add_unpaid_note(const Reading& reading, Facts& facts) {
  constexpr std::string_view kUnpaid[] = {"draft", "open", "void",
                                          "uncollectible"};
  std::string status = word_of(reading.object(), "status");
  if (status.empty() || std::find(std::begin(kUnpaid), std::end(kUnpaid),
                                  status) != std::end(kUnpaid)) {
    add_note(facts, "the invoice is not paid");
  } else {
    add_unknown_word(facts, "the invoice's status", status);
  }
}

// What paid it: said before 2025-03-31.basil; afterwards where somebody
// expanded it, or by invoice_payment.paid.
std::string_view payment_of(const json::Node* invoice) {
  std::string_view id = stripe::id(invoice, "payment_intent");
  if (id.empty()) id = stripe::id(invoice, "charge");
  for (const json::Node* paid :
       json::Children(stripe::list(invoice, "payments"))) {
    if (!id.empty()) break;
    id = invoice_payment(paid);
  }
  return id;
}

// Said beside the payment intent before 2025-03-31.basil.
std::string_view charge_of(const json::Node* invoice) {
  bool beside = !stripe::id(invoice, "payment_intent").empty();
  return beside ? stripe::id(invoice, "charge") : std::string_view();
}

// Of an invoice for no subscription.
bool buys(const json::Node* line) {
  return !is_proration(line) && json::integer(line, "amount").value_or(0) >= 0;
}

std::vector<Identifier> purchased(const Reading& reading) {
  const json::Node* invoice = reading.object();
  IdentifierList list(reading.head().account);
  for (const json::Node* line : lines_of(reading).members) {
    if (buys(line) && !list.truncated()) add_line(line, list);
  }
  list.add_metadata(reading, json::member(invoice, "metadata"));
  return std::move(list).sorted();
}

std::vector<LineItem> bought_lines(const Reading& reading,
                                   bool (*counts)(const json::Node*)) {
  std::vector<LineItem> lines;
  for (const json::Node* line : lines_of(reading).members) {
    if (!counts(line)) continue;
    lines.push_back({identifiers_of(reading, line), quantity_of(line)});
  }
  return lines_to_keep(std::move(lines));
}

SessionFact purchase_fact(const Reading& reading,
                          std::vector<Identifier> identifiers,
                          bool (*counts)(const json::Node*)) {
  SessionFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  fact.paid = true;
  fact.amount = amount(reading.object(), "amount_paid");
  fact.identifiers = std::move(identifiers);
  fact.lines = bought_lines(reading, counts);
  std::string_view payment = payment_of(reading.object());
  if (!payment.empty()) fact.payment_intent = reading.qualified(payment);
  std::string_view charge = charge_of(reading.object());
  if (!charge.empty()) fact.charge = reading.qualified(charge);
  fact.free = payment.empty() &&
              json::integer(reading.object(), "total").value_or(1) <= 0;
  return fact;
}

void add_purchase(const Reading& reading, SessionFact fact, PlaceFacts& own,
                  Facts& facts) {
  std::string id = reading.qualified(stripe::id(reading.object(), "id"));
  if (!fact.payment_intent.empty()) {
    own.claims.push_back(part_claim(reading, fact.payment_intent, id));
  }
  add_charge(reading, fact, own, facts);
  Source& source = own.sources[std::move(id)];
  source.place = own.place;
  source.sessions.insert(std::move(fact));
}

// Whose the invoice is, for who knows of a payment only that it paid it; and
// its payment, where the invoice says it.
void add_invoice_forwards(const Reading& reading, const std::string& place,
                          Facts& facts) {
  std::string_view id = stripe::id(reading.object(), "id");
  std::string_view payment = payment_of(reading.object());
  if (!payment.empty()) {
    add_forward(reading, reading.qualified(payment), place, facts);
  }
  if (!id.empty() && reading.qualified(id) != place) {
    add_forward(reading, reading.qualified(id), place, facts);
  }
}

// An invoice for no subscription: a purchase like a checkout session's.
void one_off_invoice_facts(const Reading& reading, Facts& facts) {
  const json::Node* invoice = reading.object();
  std::string_view id = stripe::id(invoice, "id");
  if (id.empty()) {
    add_note(facts, "the invoice has no id");
    return;
  }
  if (!is_paid(invoice)) {
    add_unpaid_note(reading, facts);
    return;
  }
  UserHints hints;
  hints.metadata = json::member(invoice, "metadata");
  hints.metadata_kind = ClaimKind::session_metadata;
  hints.email = facts.email;
  hints.said = said_at(invoice);
  hints.about = {reading.qualified(id)};
  if (std::string_view payment = payment_of(invoice); !payment.empty()) {
    hints.about.push_back(reading.qualified(payment));
  }
  std::string place =
      facts.customer.empty() ? reading.qualified(id) : facts.customer;
  PlaceFacts own = own_place(reading, std::move(place), hints, facts);
  add_invoice_forwards(reading, own.place, facts);
  SessionFact fact = purchase_fact(reading, purchased(reading), buys);
  facts.identifiers = fact.identifiers;
  add_purchase(reading, std::move(fact), own, facts);
  facts.places.push_back(std::move(own));
}

// What a subscription's invoice sells once is a purchase of its own, with
// refunds and disputes of its own: the subscription goes by its status.
std::vector<Identifier> sold_besides(const Reading& reading) {
  IdentifierList list(reading.head().account);
  for (const json::Node* line : lines_of(reading).members) {
    if (is_one_time(line) && !list.truncated()) add_line(line, list);
  }
  return std::move(list).sorted();
}

void add_to(std::vector<Identifier>& all, const std::vector<Identifier>& more) {
  all.insert(all.end(), more.begin(), more.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

// What a paid invoice says of its subscription. False: nothing.
bool add_payment(const Reading& reading, std::string_view subscription,
                 PlaceFacts& own, Facts& facts) {
  std::optional<PaidInvoice> paid = paid_invoice(reading);
  std::optional<Renewal> renewed = renewal(reading, paid.has_value());
  if (!paid && !renewed) return false;
  Source& source = own.sources[reading.qualified(subscription)];
  source.place = own.place;
  if (paid) {
    add_to(facts.identifiers, paid->identifiers);
    source.invoices.insert(*std::move(paid));
  }
  if (renewed) source.renewals.insert(*std::move(renewed));
  for (const json::Node* line : lines_of(reading).members) {
    if (!shows_plan(line)) continue;
    add_lookup_key(reading, price_of(line), source);
    add_paid_period(reading, line, source);
  }
  return true;
}

void subscription_invoice_facts(const Reading& reading,
                                std::string_view subscription, Facts& facts) {
  const json::Node* invoice = reading.object();
  std::string_view id = stripe::id(invoice, "id");
  std::vector<Identifier> besides;
  if (is_paid(invoice) && !id.empty()) besides = sold_besides(reading);
  UserHints hints;
  hints.metadata = subscription_metadata(invoice);
  hints.metadata_kind = ClaimKind::subscription_metadata;
  hints.email = facts.email;
  hints.said = said_at(invoice);
  hints.about = {reading.qualified(subscription)};
  if (!besides.empty()) {
    hints.about.push_back(reading.qualified(id));
    std::string_view payment = payment_of(invoice);
    if (!payment.empty()) hints.about.push_back(reading.qualified(payment));
  }
  PlaceFacts own = own_place(reading, facts.customer, hints, facts);
  add_invoice_forwards(reading, own.place, facts);
  if (!is_paid(invoice)) {
    add_unpaid_note(reading, facts);
  } else {
    bool pays = add_payment(reading, subscription, own, facts);
    if (!pays && besides.empty()) {
      add_note(facts, "the invoice pays for no period to come");
    }
  }
  if (!besides.empty()) {
    own.claims.push_back(part_claim(reading, reading.qualified(id),
                                    reading.qualified(subscription)));
    add_to(facts.identifiers, besides);
    add_purchase(reading,
                 purchase_fact(reading, std::move(besides), is_one_time), own,
                 facts);
  }
  facts.places.push_back(std::move(own));
}

}  // namespace

// Which payment paid which invoice. Nothing else says it since
// 2025-03-31.basil, and a dispute names no customer: so it finds the purchase
// by the invoice.
void invoice_payment_facts(const Reading& reading, Facts& facts) {
  std::string_view invoice = stripe::id(reading.object(), "invoice");
  std::string_view payment = invoice_payment(reading.object());
  if (invoice.empty() || payment.empty()) {
    add_note(facts, "the invoice payment has no invoice or no payment");
    return;
  }
  PlaceFacts own{reading.qualified(invoice), {}, {}};
  add_forward(reading, reading.qualified(payment), own.place, facts);
  own.claims.push_back(
      part_claim(reading, reading.qualified(payment), own.place));
  Source& source = own.sources[own.place];
  source.place = own.place;
  SessionFact link = payment_link(reading, reading.qualified(payment));
  link.amount = amount(reading.object(), "amount_paid");
  source.sessions.insert(std::move(link));
  facts.places.push_back(std::move(own));
}

void invoice_paid_facts(const Reading& reading, Facts& facts) {
  const json::Node* invoice = reading.object();
  facts.customer = customer_place(reading);
  facts.email = lower_case(json::string(invoice, "customer_email"));
  facts.lacks_lookup_keys = lacks_lookup_keys(invoice);
  std::string_view subscription = subscription_of(invoice);
  if (subscription.empty()) {
    one_off_invoice_facts(reading, facts);
  } else if (facts.customer.empty()) {
    facts.warns = true;
    add_note(facts, "the invoice is for a subscription and has no customer");
  } else {
    subscription_invoice_facts(reading, subscription, facts);
  }
}

// Stripe leaves such a subscription active and never bills it again: only a
// person can help.
void invoice_not_finalized_facts(const Reading& reading, Facts& facts) {
  facts.customer = customer_place(reading);
  facts.warns = true;
  facts.note =
      "the invoice could not be finalized: its subscription stays "
      "active without being billed until somebody mends it in Stripe";
}

}  // namespace entitle
