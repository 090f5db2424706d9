// A source as it stands in the field `source:<id>` of a record or a place:
// compact JSON, members in this order, left out where false, null, empty or
// unknown, so that equal sources are equal bytes.
//
//   {"place":"cus_...",
//    "snapshots":[{"event":"evt_...","type":"updated","created":1767225600,
//                  "status":"active","period_end":1769904000,"trial_end":...,
//                  "cancel_at":...,"cancel_at_period_end":true,"ended_at":...,
//                  "identifiers":["lookup_key=pro","price_...","prod_..."],
//                  "more_items":true,
//                  "previous":{"status":"past_due","period_end":null,...}}],
//    "past_due":{"event":"evt_...","created":...},
//    "invoice":{"event":...,"created":...,"issued":...,"id":"in_...",
//               "period_end":...,"identifiers":[...]},
//    "sessions":[{"event":...,"created":...,"mode":"payment","paid":true,
//                 "subscription":"sub_...","payment_intent":"pi_...",
//                 "identifiers":[...]}],
//    "refunds":[{"event":...,"created":...,"charge":"ch_...","full":true},
//               {"event":...,"created":...,"refund":"re_...",
//                "returned":true}],
//    "disputes":[{"event":...,"created":...,"id":"du_...","status":"lost"}],
//    "summaries":[{"event":...,"created":...,"identifiers":[...],
//                  "has_more":true,"previous":[...]}],
//    "deleted":{"event":...,"created":...},
//    "granted":{"until":...,"identifiers":[...]}}
//
// Lists are greatest first. A snapshot without "identifiers" has those of the
// one before it in the list (they rarely change). "issued" is left out where it
// equals "created"; "until" where a grant never ends. Times are unix seconds.
// In "previous", null says that there was none before.
#include "core/base/types.h"
#include "core/json/writer.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {
namespace {

using json::Writer;
using Identifiers = std::vector<Identifier>;
using OptionalTime = std::optional<UnixTime>;

// --- members, left out where they say nothing -------------------------------

void text(Writer& out, std::string_view name, std::string_view value) {
  if (!value.empty()) out.text(name, value);
}

void flag(Writer& out, std::string_view name, bool value) {
  if (value) out.boolean(name, true);
}

void time(Writer& out, std::string_view name, UnixTime value) {
  out.number(name, to_unix(value));
}

void time(Writer& out, std::string_view name, const OptionalTime& value) {
  if (value) time(out, name, *value);
}

void previous_time(Writer& out, std::string_view name,
                   const std::optional<OptionalTime>& value) {
  if (!value) return;
  if (*value) {
    time(out, name, **value);
  } else {
    out.key(name).null();
  }
}

void list(Writer& out, std::string_view name, const Identifiers& value) {
  out.key(name).strings(value, [](const Identifier& identifier) {
    return std::string_view(identifier.str());
  });
}

void list_if_any(Writer& out, std::string_view name, const Identifiers& value) {
  if (!value.empty()) list(out, name, value);
}

// --- facts -------------------------------------------------------------------

template <class Fact>
void event(Writer& out, const Fact& fact) {
  text(out, "event", fact.event);
  time(out, "created", fact.created);
}

void previous_state(Writer& out, const PreviousState& previous) {
  out.begin_object();
  if (previous.status) out.text("status", *previous.status);
  previous_time(out, "period_end", previous.period_end);
  previous_time(out, "trial_end", previous.trial_end);
  previous_time(out, "cancel_at", previous.cancel_at);
  if (previous.cancel_at_period_end) {
    out.boolean("cancel_at_period_end", *previous.cancel_at_period_end);
  }
  previous_time(out, "ended_at", previous.ended_at);
  if (previous.identifiers) list(out, "identifiers", *previous.identifiers);
  if (previous.names) list(out, "names", *previous.names);
  out.end_object();
}

void snapshot(Writer& out, const Snapshot& fact, const Identifiers& before) {
  out.begin_object();
  text(out, "event", fact.event);
  text(out, "type", name(fact.type));
  time(out, "created", fact.created);
  text(out, "status", fact.state.status);
  time(out, "period_end", fact.state.period_end);
  time(out, "trial_end", fact.state.trial_end);
  time(out, "cancel_at", fact.state.cancel_at);
  flag(out, "cancel_at_period_end", fact.state.cancel_at_period_end);
  time(out, "ended_at", fact.state.ended_at);
  if (fact.state.identifiers != before) {
    list(out, "identifiers", fact.state.identifiers);
  }
  flag(out, "more_items", fact.state.more_items);
  if (fact.previous != PreviousState{}) {
    out.key("previous");
    previous_state(out, fact.previous);
  }
  out.end_object();
}

void members(Writer& out, const PaidInvoice& fact) {
  if (fact.issued != fact.created) time(out, "issued", fact.issued);
  text(out, "id", fact.invoice);
  time(out, "period_end", fact.period_end);
  list_if_any(out, "identifiers", fact.identifiers);
}

void members(Writer& out, const SessionFact& fact) {
  text(out, "mode", fact.subscription_mode ? "subscription" : "payment");
  flag(out, "paid", fact.paid);
  text(out, "subscription", fact.subscription);
  text(out, "payment_intent", fact.payment_intent);
  list_if_any(out, "identifiers", fact.identifiers);
}

void members(Writer& out, const RefundFact& fact) {
  text(out, fact.of_charge ? "charge" : "refund", fact.id);
  flag(out, "full", fact.full);
  flag(out, "returned", fact.returned);
}

void members(Writer& out, const DisputeFact& fact) {
  text(out, "id", fact.id);
  text(out, "status", fact.status);
}

void members(Writer& out, const SummaryFact& fact) {
  list_if_any(out, "identifiers", fact.identifiers);
  flag(out, "has_more", fact.has_more);
  if (fact.previous) list(out, "previous", *fact.previous);
}

// The event alone.
void members(Writer&, const PastDueFact&) {}
void members(Writer&, const DeletedFact&) {}

template <class Fact>
void fact_object(Writer& out, const Fact& fact) {
  out.begin_object();
  event(out, fact);
  members(out, fact);
  out.end_object();
}

template <class Fact>
void one(Writer& out, std::string_view name, const std::optional<Fact>& fact) {
  if (!fact) return;
  out.key(name);
  fact_object(out, *fact);
}

template <class Fact>
void all(Writer& out, std::string_view name, const std::vector<Fact>& facts) {
  if (facts.empty()) return;
  out.key(name).begin_array();
  for (const Fact& fact : facts) fact_object(out, fact);
  out.end_array();
}

void all_snapshots(Writer& out, const std::vector<Snapshot>& snapshots) {
  if (snapshots.empty()) return;
  static const Identifiers none;
  const Identifiers* before = &none;
  out.key("snapshots").begin_array();
  for (const Snapshot& fact : snapshots) {
    snapshot(out, fact, *before);
    before = &fact.state.identifiers;
  }
  out.end_array();
}

}  // namespace

std::string Source::encode() const {
  std::string text_of_all;
  text_of_all.reserve(512);
  Writer out(text_of_all);
  out.begin_object();
  text(out, "place", place);
  all_snapshots(out, snapshots);
  one(out, "past_due", entered_past_due);
  one(out, "invoice", invoice);
  all(out, "sessions", sessions);
  all(out, "refunds", refunds);
  all(out, "disputes", disputes);
  all(out, "summaries", summaries);
  one(out, "deleted", deleted);
  if (granted_until) {
    out.key("granted").begin_object();
    if (*granted_until != kForever) time(out, "until", *granted_until);
    list(out, "identifiers", granted);
    out.end_object();
  }
  out.end_object();
  return text_of_all;
}

}  // namespace entitle
