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
#include <charconv>

#include "core/base/types.h"
#include "core/json/text.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {
namespace {

using Identifiers = std::vector<Identifier>;
using OptionalTime = std::optional<UnixTime>;

// Writes one object: members separated by commas, braces around.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) { out_.push_back('{'); }
  ~Writer() { out_.push_back('}'); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::string& key(std::string_view name) {
    if (!first_) out_.push_back(',');
    first_ = false;
    out_.append("\"").append(name).append("\":");
    return out_;
  }
  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) append_json_string(key(name), value);
  }
  void flag(std::string_view name, bool value) {
    if (value) key(name).append("true");
  }
  void time(std::string_view name, UnixTime value) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, to_unix(value));
    key(name).append(digits, end.ptr);
  }
  void time(std::string_view name, const OptionalTime& value) {
    if (value) time(name, *value);
  }
  void previous_time(std::string_view name,
                     const std::optional<OptionalTime>& value) {
    if (!value) return;
    if (*value) {
      time(name, **value);
    } else {
      key(name).append("null");
    }
  }
  void list(std::string_view name, const Identifiers& value) {
    std::string& out = key(name);
    out.push_back('[');
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out.push_back(',');
      append_json_string(out, value[i].str());
    }
    out.push_back(']');
  }
  void list_if_any(std::string_view name, const Identifiers& value) {
    if (!value.empty()) list(name, value);
  }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class Fact>
void write_event(Writer& object, const Fact& fact) {
  object.text("event", fact.event);
  object.time("created", fact.created);
}

void write(std::string& out, const PreviousState& previous) {
  Writer object(out);
  if (previous.status) {
    append_json_string(object.key("status"), *previous.status);
  }
  object.previous_time("period_end", previous.period_end);
  object.previous_time("trial_end", previous.trial_end);
  object.previous_time("cancel_at", previous.cancel_at);
  if (previous.cancel_at_period_end) {
    object.key("cancel_at_period_end")
        .append(*previous.cancel_at_period_end ? "true" : "false");
  }
  object.previous_time("ended_at", previous.ended_at);
  if (previous.identifiers) object.list("identifiers", *previous.identifiers);
  if (previous.names) object.list("names", *previous.names);
}

void write(std::string& out, const Snapshot& fact, const Identifiers& before) {
  Writer object(out);
  object.text("event", fact.event);
  object.text("type", name(fact.type));
  object.time("created", fact.created);
  object.text("status", fact.state.status);
  object.time("period_end", fact.state.period_end);
  object.time("trial_end", fact.state.trial_end);
  object.time("cancel_at", fact.state.cancel_at);
  object.flag("cancel_at_period_end", fact.state.cancel_at_period_end);
  object.time("ended_at", fact.state.ended_at);
  if (fact.state.identifiers != before) {
    object.list("identifiers", fact.state.identifiers);
  }
  object.flag("more_items", fact.state.more_items);
  if (fact.previous != PreviousState{}) {
    write(object.key("previous"), fact.previous);
  }
}

void write(std::string& out, const PaidInvoice& fact) {
  Writer object(out);
  write_event(object, fact);
  if (fact.issued != fact.created) object.time("issued", fact.issued);
  object.text("id", fact.invoice);
  object.time("period_end", fact.period_end);
  object.list_if_any("identifiers", fact.identifiers);
}

void write(std::string& out, const SessionFact& fact) {
  Writer object(out);
  write_event(object, fact);
  object.text("mode", fact.subscription_mode ? "subscription" : "payment");
  object.flag("paid", fact.paid);
  object.text("subscription", fact.subscription);
  object.text("payment_intent", fact.payment_intent);
  object.list_if_any("identifiers", fact.identifiers);
}

void write(std::string& out, const RefundFact& fact) {
  Writer object(out);
  write_event(object, fact);
  object.text(fact.of_charge ? "charge" : "refund", fact.id);
  object.flag("full", fact.full);
  object.flag("returned", fact.returned);
}

void write(std::string& out, const DisputeFact& fact) {
  Writer object(out);
  write_event(object, fact);
  object.text("id", fact.id);
  object.text("status", fact.status);
}

void write(std::string& out, const SummaryFact& fact) {
  Writer object(out);
  write_event(object, fact);
  object.list_if_any("identifiers", fact.identifiers);
  object.flag("has_more", fact.has_more);
  if (fact.previous) object.list("previous", *fact.previous);
}

template <class Fact>
void write_marker(std::string& out, const Fact& fact) {
  Writer object(out);
  write_event(object, fact);
}

template <class Fact, class Write>
void write_all(Writer& object, std::string_view name,
               const std::vector<Fact>& facts, Write write_one) {
  if (facts.empty()) return;
  std::string& out = object.key(name);
  out.push_back('[');
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (i > 0) out.push_back(',');
    write_one(out, i);
  }
  out.push_back(']');
}

template <class Fact>
void write_all(Writer& object, std::string_view name,
               const std::vector<Fact>& facts) {
  write_all(object, name, facts,
            [&](std::string& out, std::size_t i) { write(out, facts[i]); });
}

}  // namespace

std::string Source::encode() const {
  std::string out;
  out.reserve(512);
  {
    Writer object(out);
    object.text("place", place);
    write_all(object, "snapshots", snapshots,
              [&](std::string& to, std::size_t i) {
                static const Identifiers none;
                write(to, snapshots[i],
                      i == 0 ? none : snapshots[i - 1].state.identifiers);
              });
    if (entered_past_due) {
      write_marker(object.key("past_due"), *entered_past_due);
    }
    if (invoice) write(object.key("invoice"), *invoice);
    write_all(object, "sessions", sessions);
    write_all(object, "refunds", refunds);
    write_all(object, "disputes", disputes);
    write_all(object, "summaries", summaries);
    if (deleted) write_marker(object.key("deleted"), *deleted);
    if (granted_until) {
      Writer grant(object.key("granted"));
      if (*granted_until != kForever) grant.time("until", *granted_until);
      grant.list("identifiers", granted);
    }
  }
  return out;
}

}  // namespace entitle
