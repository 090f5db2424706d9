// checkout.session.*: whose the purchase is and, for one-time payments, what
// was bought.
// Source: https://docs.stripe.com/api/checkout/sessions/object,
// https://docs.stripe.com/checkout/fulfillment
#include "core/base/ascii.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

std::vector<Identifier> purchased(const Reading& reading) {
  const json::Node* session = reading.object();
  IdentifierList list(reading.head().account);
  list.add_id(stripe::id(session, "payment_link"));
  list.add_metadata(reading, json::member(session, "metadata"));
  // Only where Stripe was asked for them, or somebody expanded them.
  for (const json::Node* line :
       listing(reading, "line_items", Listed::line_items).members) {
    if (list.truncated()) break;
    if (json::integer(line, "quantity") == 0) continue;
    list.add_price(json::member(line, "price"));
  }
  return std::move(list).sorted();
}

std::vector<LineItem> bought_lines(const Reading& reading) {
  std::vector<LineItem> lines;
  for (const json::Node* line :
       listing(reading, "line_items", Listed::line_items).members) {
    if (json::integer(line, "quantity") == 0) continue;
    IdentifierList list(reading.head().account);
    list.add_price(json::member(line, "price"));
    lines.push_back({std::move(list).sorted(), quantity_of(line)});
  }
  return lines_to_keep(std::move(lines));
}

// What a session speaks for: itself, its subscription and its payment, with the
// invoice that Stripe writes of it.
std::vector<std::string> bought_with(const Reading& reading) {
  std::vector<std::string> sources;
  for (const char* member :
       {"id", "subscription", "payment_intent", "invoice"}) {
    std::string_view id = stripe::id(reading.object(), member);
    if (!id.empty()) sources.push_back(reading.qualified(id));
  }
  return sources;
}

std::string email_of(const json::Node* session) {
  std::string_view email =
      json::string(json::member(session, "customer_details"), "email");
  if (email.empty()) email = json::string(session, "customer_email");
  return lower_case(email);
}

bool is_paid(std::string_view payment_status) {
  return payment_status == "paid" || payment_status == "no_payment_required";
}

bool is_free(const json::Node* session) {
  return json::string(session, "payment_status") == "no_payment_required" ||
         json::integer(session, "amount_total") == 0;
}

// What is not paid yet may be: by a delayed method, or when it is captured.
bool is_completion(const Reading& reading) {
  return reading.head().type == "checkout.session.completed";
}

std::string said_or_unsaid(const json::Node* session, const char* member) {
  std::string word = word_of(session, member);
  return word.empty() ? std::string(kUnsaid) : word;
}

SessionFact session_fact(const Reading& reading) {
  const json::Node* session = reading.object();
  SessionFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  std::string mode = said_or_unsaid(session, "mode");
  fact.subscription_mode = mode == "subscription";
  if (!fact.subscription_mode && mode != "payment") fact.other_mode = mode;
  std::string status = said_or_unsaid(session, "payment_status");
  fact.paid = is_paid(status);
  if (!fact.paid && status != "unpaid") fact.other_status = status;
  std::string_view subscription = stripe::id(session, "subscription");
  if (!subscription.empty()) {
    fact.subscription = reading.qualified(subscription);
  }
  std::string_view payment_intent = stripe::id(session, "payment_intent");
  if (!payment_intent.empty()) {
    fact.payment_intent = reading.qualified(payment_intent);
  }
  fact.identifiers = purchased(reading);
  fact.lines = bought_lines(reading);
  fact.free = fact.paid && fact.payment_intent.empty() && is_free(session);
  return fact;
}

}  // namespace

void checkout_session_facts(const Reading& reading, Facts& facts) {
  const json::Node* session = reading.object();
  std::string_view id = stripe::id(session, "id");
  if (id.empty()) {
    add_note(facts, "the session has no id");
    return;
  }
  std::string source_id = reading.qualified(id);
  facts.customer = customer_place(reading);
  facts.email = email_of(session);

  std::string place = facts.customer.empty() ? source_id : facts.customer;
  std::string_view mode = json::string(session, "mode");
  std::string_view payment_intent = stripe::id(session, "payment_intent");
  if (!payment_intent.empty() && mode == "payment") {
    add_forward(reading, reading.qualified(payment_intent), place, facts);
  }

  UserHints hints;
  hints.client_reference = json::string(session, "client_reference_id");
  hints.metadata = json::member(session, "metadata");
  hints.metadata_kind = ClaimKind::session_metadata;
  hints.email = facts.email;
  hints.said = stripe::time(session, "created");
  hints.about = bought_with(reading);
  PlaceFacts own = own_place(reading, std::move(place), hints, facts);

  // A session that only sets up a payment method buys nothing. One of a mode or
  // a status that is not known opens nothing, and somebody is told.
  if (mode != "setup") {
    SessionFact fact = session_fact(reading);
    if (!fact.other_mode.empty()) {
      add_unknown_word(facts, "the session's mode", fact.other_mode);
    }
    if (!fact.other_status.empty()) {
      add_unknown_word(facts, "the session's payment_status",
                       fact.other_status);
    }
    // A subscription's session is not what grants: its subscription is.
    bool one_time = !fact.subscription_mode && fact.other_mode.empty();
    if (one_time && (fact.paid || is_completion(reading))) {
      facts.is_payment = true;
      facts.identifiers = fact.identifiers;
    }
    std::string_view invoice = stripe::id(session, "invoice");
    if (one_time && !fact.payment_intent.empty()) {
      own.claims.push_back(part_claim(reading, fact.payment_intent, source_id));
    }
    if (one_time && !invoice.empty() && !fact.payment_intent.empty()) {
      // A session may make an invoice of its payment, which buys the same.
      own.claims.push_back(
          part_claim(reading, fact.payment_intent, reading.qualified(invoice)));
      Source& made = own.sources[reading.qualified(invoice)];
      made.place = own.place;
      made.sessions.insert(payment_link(reading, fact.payment_intent));
    }
    Source& source = own.sources[source_id];
    source.place = own.place;
    source.sessions.insert(std::move(fact));
  } else {
    add_note(facts, "a session of this mode buys nothing");
  }
  facts.places.push_back(std::move(own));
}

}  // namespace entitle
