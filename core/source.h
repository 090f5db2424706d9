// A source: one Stripe object that grants (or takes), as the bounded set of
// what events said about it. It stores no "latest state": merging is set
// union, then keep the greatest of each kind, so any order, duplication and
// loss-then-resend of the same events ends in the same source.
//
//   sub_...  a subscription: its snapshots (the 8 greatest by terminal,
//            created, event id), the newest that entered `past_due`, the
//            newest paid invoice that names a plan
//   cs_...   a checkout session: paid is never undone by a late unpaid
//   pi_/ch_  a payment: refunds and disputes, each by its own id
//   cus_...  a customer: active-entitlement summary, deleted
//
// The format of encode() is public: docs/redis.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace entitle {

enum class SnapshotType { created, notice, updated, deleted };

// The part of a subscription that decides access, as compared by the rule for
// events of one second (reference: docs/stripe.md, "Order").
struct SubscriptionState {
  std::string status;
  std::optional<UnixTime> period_end;  // the greatest item's, or top-level
  std::optional<UnixTime> trial_end;
  std::optional<UnixTime> cancel_at;
  bool cancel_at_period_end = false;
  std::optional<UnixTime> ended_at;
  std::vector<Identifier> identifiers;  // sorted, unique
  bool more_items = false;              // items.has_more: a lower bound only
  bool operator==(const SubscriptionState&) const = default;
};

// data.previous_attributes, as far as SubscriptionState is concerned: only
// what is present is compared.
struct PreviousState {
  std::optional<std::string> status;
  std::optional<std::optional<UnixTime>> period_end, trial_end, cancel_at,
      ended_at;
  std::optional<bool> cancel_at_period_end;
  std::optional<std::vector<Identifier>> identifiers;
  bool operator==(const PreviousState&) const = default;
};

struct Snapshot {
  std::string event;
  SnapshotType type = SnapshotType::updated;
  UnixTime created;
  SubscriptionState state;
  PreviousState previous;
  bool terminal() const;
  bool operator==(const Snapshot&) const = default;
};

struct PaidInvoice {
  std::string event;
  UnixTime created;
  std::string invoice;
  UnixTime period_end;
  std::vector<Identifier> identifiers;  // of lines that are no prorations
  bool operator==(const PaidInvoice&) const = default;
};

struct SessionFact {
  std::string event;
  UnixTime created;
  bool subscription_mode = false;
  bool paid = false;            // paid or no_payment_required
  std::string subscription;     // sub_... or empty
  std::string payment_intent;   // pi_... or empty
  std::vector<Identifier> identifiers;
  bool operator==(const SessionFact&) const = default;
};

struct RefundFact {
  std::string event;
  UnixTime created;
  std::string id;  // re_..., or ch_... for what charge.refunded says
  bool full = false;     // the whole charge is refunded (charge.refunded only)
  bool returned = false; // the refund failed or was canceled: money is back
  bool operator==(const RefundFact&) const = default;
};

struct DisputeFact {
  std::string event;
  UnixTime created;
  std::string id;  // du_... / dp_...
  std::string status;
  bool operator==(const DisputeFact&) const = default;
};

struct SummaryFact {
  std::string event;
  UnixTime created;
  std::vector<Identifier> identifiers;
  bool has_more = false;
  bool operator==(const SummaryFact&) const = default;
};

struct DeletedFact {
  std::string event;
  UnixTime created;
  bool operator==(const DeletedFact&) const = default;
};

struct Source {
  std::string place;  // the place whose facts these are (cus_..., cs_...)

  std::vector<Snapshot> snapshots;         // greatest first
  std::optional<Snapshot> entered_past_due;
  std::optional<PaidInvoice> invoice;
  std::vector<SessionFact> sessions;       // greatest first by paid, created, id
  std::vector<RefundFact> refunds;
  std::vector<DisputeFact> disputes;
  std::vector<SummaryFact> summaries;
  std::optional<DeletedFact> deleted;
  // An operator's grant: the source id is `grant:<name>`.
  std::optional<UnixTime> granted_until;
  std::vector<Identifier> granted;

  bool operator==(const Source&) const = default;

  // Whether this event is among the facts kept.
  bool has_event(std::string_view event) const;

  // Set union, then keep the greatest. True when anything changed.
  // Commutative, associative, idempotent (property-tested).
  bool merge(const Source& other);

  std::string encode() const;                                // compact JSON
  static std::optional<Source> decode(std::string_view json);  // null: corrupt
};

using Sources = std::map<std::string, Source, std::less<>>;  // by source id

// True when anything changed.
bool merge(Sources& into, const Sources& from);

// The subscription's state now, a pure function of the facts.
struct ResolvedSubscription {
  SubscriptionState state;
  std::optional<UnixTime> past_due_since;
  bool ambiguous = false;  // order inside one second undetermined: the least
                           // privileged candidate was taken
};
std::optional<ResolvedSubscription> resolve(const Source& source);

}  // namespace entitle
