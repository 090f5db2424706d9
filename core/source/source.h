// A source: one Stripe object that grants (or takes), as the bounded set of
// what events said about it. It stores no "latest state": merging is set
// union, then keep the greatest of each kind, so any order, duplication and
// loss-then-resend of the same events ends in the same source.
//
//   sub_...  a subscription: its snapshots (the 8 greatest by terminal,
//            created, event id; one that ended it), the newest that entered
//            `past_due`, the newest paid invoice that names a plan
//            and of each of its prices the newest periods
//   cs_...   a checkout session: paid is never undone by a late unpaid
//   pi_/ch_  a payment: refunds and disputes, each by its own id
//   cus_...  a customer: active-entitlement summaries, deleted
//
// Every list is a set with an order and a bound (core/source/bounded_set.h), so
// that equal sets of facts are equal values and equal bytes. What may be
// forgotten, and when: core/source/forget.h. The format of encode() is public:
// docs/redis.md, core/source/json.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/base/types.h"
#include "core/source/bounded_set.h"
#include "core/source/identifier.h"
#include "core/source/unknown.h"

namespace entitle {

// `told` is no event's: Stripe was asked, and said so. A type that a later
// version wrote counts as a notice.
enum class SnapshotType { created, notice, updated, deleted, told };

// One item of a subscription, or one line of an invoice: what it is known by,
// and when the period that is paid for ends.
struct ItemPeriod {
  std::vector<Identifier> identifiers;  // sorted, unique
  std::optional<UnixTime> end;
  bool arrears = false;  // of a line: billed when its period was over
  UnknownMembers unknown = {};
  void keep_only(const std::vector<Identifier>& sorted);
  auto operator<=>(const ItemPeriod&) const = default;
};
using ItemPeriods = std::vector<ItemPeriod>;

// Whether it is what no other item of the subscription is known by.
bool is_price(const Identifier& identifier);
// Whether this is what an item is known by; else it is said of the whole
// subscription, in its metadata.
bool is_of_item(const Identifier& identifier);
// Whether one of those that are items' is not in `known`. All lists are sorted.
bool names_more_items(const std::vector<Identifier>& identifiers,
                      const std::vector<Identifier>& known);
// Adds them to `known`.
void add_items(const std::vector<Identifier>& identifiers,
               std::vector<Identifier>& known);

// Whether it is one of Stripe's words for what becomes of a subscription.
bool is_known_status(std::string_view subscription_status);

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
  ItemPeriods items;        // sorted; empty: one, which is all of them
  bool more_items = false;  // items.has_more: a lower bound only
  // Where nobody says when the period ends: an interval of the price later.
  std::optional<UnixTime> assumed_end;
  // What becomes of invoices meanwhile (void, ...); empty: it is not paused.
  std::string pause_collection = {};
  std::optional<UnixTime> resumes_at = {};  // nullopt: nobody says when
  auto operator<=>(const SubscriptionState&) const = default;
};

// data.previous_attributes, as far as SubscriptionState is concerned: only
// what is present is compared.
struct PreviousState {
  std::optional<std::string> status;
  std::optional<std::optional<UnixTime>> period_end, trial_end, cancel_at,
      ended_at;
  std::optional<bool> cancel_at_period_end;
  std::optional<std::vector<Identifier>> identifiers;  // of the items
  ItemPeriods items;  // where each said its end, and there were several
  std::optional<std::vector<Identifier>> names;  // of metadata.entitlements
  std::vector<std::string> tags = {};  // sorted: "KEY=VALUE", "KEY" for none
  std::optional<std::string> pause_collection = {};
  std::optional<std::optional<UnixTime>> resumes_at = {};
  UnknownMembers unknown = {};
  auto operator<=>(const PreviousState&) const = default;
};

struct Snapshot {
  std::string event;
  SnapshotType type = SnapshotType::updated;
  UnixTime created;
  SubscriptionState state;
  std::string other_type = {};  // as it is called, when it is no SnapshotType
  PreviousState previous;
  bool free = false;  // all its prices are 0
  UnknownMembers unknown = {};
  // canceled, incomplete_expired, ended or deleted: nothing comes after.
  bool terminal() const;

  static constexpr std::string_view kName = "snapshots";
  static constexpr std::size_t kBound = 8;
  // Of those that end it, one.
  std::string_view key() const {
    return terminal() ? std::string_view() : event;
  }
  auto rank() const {
    return std::make_tuple(terminal(), created, std::string_view(event));
  }
  // The newest whole list of items, and the newest that was not past due or,
  // where there is none, the first that was.
  static std::vector<Snapshot> keep_besides(
      const std::vector<Snapshot>& newest_first);
  void keep_unknown(const Snapshot& other) {
    unknown.merge(other.unknown);
    previous.unknown.merge(other.previous.unknown);
  }
  auto operator<=>(const Snapshot&) const = default;
};

// The event with which a subscription turned past_due: kept by itself, so that
// neither dunning nor metadata updates let its grace slide.
struct PastDueFact {
  std::string event;
  UnixTime created;
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "past_due";
  auto rank() const {
    return std::make_tuple(created, std::string_view(event));
  }
  void keep_unknown(const PastDueFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const PastDueFact&) const = default;
};

// A price whose money went back, for the time from then on: an invoice credits
// it and charges nothing for the same time.
struct Returned {
  std::string price;
  UnixTime at;
  UnknownMembers unknown = {};
  auto operator<=>(const Returned&) const = default;
};

struct PaidInvoice {
  std::string event;
  UnixTime created;  // of the event
  UnixTime issued;   // the invoice's own: one paid late is not a newer one
  std::string invoice;
  UnixTime period_end;                  // the greatest line's
  std::vector<Identifier> identifiers;  // of lines that are no prorations
  ItemPeriods items;  // the lines; empty: one, paid ahead, which is all of them
  std::vector<Returned> returned;  // sorted
  bool free = false;               // its total is 0 or less
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "invoices";
  static constexpr std::size_t kBound = 64;
  const std::string& key() const { return event; }
  // Of two invoices of one second, which cannot be told apart, the shorter.
  auto rank() const {
    return std::make_tuple(issued, created, kForever - period_end,
                           std::string_view(event));
  }
  // Of each price the newest that was paid ahead stays, the one that reaches
  // farthest of those in arrears, and the newest that gave back.
  static void prune(std::vector<PaidInvoice>& newest_first);
  void keep_unknown(const PaidInvoice& other) { unknown.merge(other.unknown); }
  auto operator<=>(const PaidInvoice&) const = default;
};

// Every item or line by itself, also where there is just one.
ItemPeriods items_of(const SubscriptionState& state);
ItemPeriods items_of(const PaidInvoice& invoice);
// In one order; of those known by the same, the one that reaches farthest.
ItemPeriods joined_items(ItemPeriods items);

// A paid invoice of a cycle that does not show the whole plan: what ended when
// the cycle began goes on until the next.
struct Renewal {
  std::string event;
  UnixTime created;  // of the event
  std::string invoice;
  UnixTime from, until;
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "renewals";
  static constexpr std::size_t kBound = 64;
  const std::string& key() const { return event; }
  auto rank() const {
    return std::make_tuple(from, kForever - until, created,
                           std::string_view(event));
  }
  void keep_unknown(const Renewal& other) { unknown.merge(other.unknown); }
  auto operator<=>(const Renewal&) const = default;
};

// A period of one of a subscription's prices, and how many of it there are in
// it: what an allotment is put on an account for (core/credit/account.h). An
// invoice's was paid; the subscription's own says what runs.
struct PeriodFact {
  UnixTime created;   // of the event
  std::string price;  // an identifier, as text
  UnixTime from, until;
  std::int64_t quantity = 1;
  bool paid = false;  // an invoice says it
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "periods";
  static constexpr std::size_t kBound = 96;
  static constexpr std::size_t kOfOne = 2;
  auto key() const { return std::tie(price, from, paid); }
  // Of one second, which cannot be told apart, what gives less.
  auto rank() const {
    return std::make_tuple(from, created, -quantity, kForever - until);
  }
  // Of each price the newest, paid or said: one may begin tomorrow.
  static void prune(std::vector<PeriodFact>& newest_first);
  void keep_unknown(const PeriodFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const PeriodFact&) const = default;
};

// One line of a purchase: what it is known by, and how many were bought.
struct LineItem {
  std::vector<Identifier> identifiers;  // sorted, unique
  std::int64_t quantity = 1;
  UnknownMembers unknown = {};
  auto operator<=>(const LineItem&) const = default;
};
// In one order; of those known by the same, the one of more.
std::vector<LineItem> joined_lines(std::vector<LineItem> lines);

struct SessionFact {
  std::string event;
  UnixTime created;
  bool subscription_mode = false;
  bool paid = false;              // paid or no_payment_required
  std::string subscription;       // sub_... or empty
  std::string payment_intent;     // pi_... or empty
  std::string charge = {};        // ch_..., where both were said
  std::string other_mode = {};    // as it is called, when it is neither
  std::string other_status = {};  // of the payment: neither paid nor unpaid
  bool free = false;              // nothing was to pay, nor is there a payment
  // An invoice's: what was paid in all or, not `paid`, by this payment. 0: not
  // said.
  std::int64_t amount = 0;
  std::vector<Identifier> identifiers = {};  // sorted, unique
  // Where that is more than one of one thing; empty: it is not, or nobody says.
  std::vector<LineItem> lines = {};
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "sessions";
  static constexpr std::size_t kBound = 4;
  static constexpr std::size_t kPayments = 16;
  const std::string& key() const { return event; }
  auto rank() const {
    return std::make_tuple(paid, created, std::string_view(event));
  }
  // One event is learned about again when it comes again, and may then say
  // less: Stripe was asked for it, and would not tell any more.
  void keep_learned(const SessionFact& other);
  // What one event made known is known of the purchase: those beyond the bound
  // that alone name an item or, of the first kPayments, a payment.
  static std::vector<SessionFact> keep_besides(
      const std::vector<SessionFact>& greatest_first);
  void keep_unknown(const SessionFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const SessionFact&) const = default;
};

struct RefundFact {
  std::string event;
  UnixTime created;
  std::string id;            // re_..., or ch_... for what charge.refunded says
  bool of_charge = false;    // charge.refunded said it
  bool full = false;         // the whole charge is refunded (of_charge only)
  bool returned = false;     // the refund failed or was canceled: money is back
  std::int64_t amount = 0;   // given back; of_charge: up to then. 0: not said
  std::int64_t charged = 0;  // of_charge only: what could be. 0: not said
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "refunds";
  static constexpr std::size_t kBound = 32;
  const std::string& key() const { return id; }
  // Failed and canceled are the ends of a refund, whenever they are told again:
  // the first word on it counts. Of one charge: refunds only add up.
  auto rank() const {
    return std::make_tuple(
        of_charge, returned,
        returned ? kForever - created : created.time_since_epoch(), full,
        std::string_view(event));
  }
  void keep_unknown(const RefundFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const RefundFact&) const = default;
};

struct DisputeFact {
  std::string event;
  UnixTime created;
  std::string id;  // du_... / dp_...
  std::string status;
  UnknownMembers unknown = {};
  // Money is or was taken back. An inquiry (warning_*) has moved none, a won,
  // prevented or closed one leaves it; a status nobody knows yet suspends.
  bool suspends() const;
  bool is_over() const;  // won, lost, warning_closed, prevented

  static constexpr std::string_view kName = "disputes";
  static constexpr std::size_t kBound = 16;
  const std::string& key() const { return id; }
  auto rank() const {
    return std::make_tuple(created, is_over(), suspends(),
                           std::string_view(event));
  }
  void keep_unknown(const DisputeFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const DisputeFact&) const = default;
};

struct SummaryFact {
  std::string event;
  UnixTime created;
  std::vector<Identifier> identifiers;
  bool has_more = false;  // some of them only: absence proves nothing
  std::optional<std::vector<Identifier>>
      previous;  // whole list before, if said
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "summaries";
  static constexpr std::size_t kRecent = 8;
  static constexpr std::size_t kBound = 256;
  const std::string& key() const { return event; }
  auto rank() const {
    return std::make_tuple(created, std::string_view(event));
  }
  // Beyond the newest few one stays only for what it alone still says: it names
  // a feature no newer one names, and no newer one was complete. So a customer
  // with more features than Stripe lists loses none of them.
  static void prune(std::vector<SummaryFact>& newest_first);
  void keep_unknown(const SummaryFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const SummaryFact&) const = default;
};

// With which lookup key a price was seen: the shop may give the key to another
// price, and who bought by it keeps it with the price.
struct KeyFact {
  std::string event;  // the newest
  UnixTime created;
  std::string price;  // identifiers, as text
  std::string name;
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "keys";
  static constexpr std::size_t kBound = 32;
  auto key() const { return std::tie(price, name); }
  auto rank() const {
    return std::make_tuple(created, std::string_view(event));
  }
  void keep_unknown(const KeyFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const KeyFact&) const = default;
};

struct DeletedFact {
  std::string event;
  UnixTime created;
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "deleted";
  // Nobody is deleted twice: what ended it is the first word on it.
  auto rank() const {
    return std::make_tuple(kForever - created, std::string_view(event));
  }
  void keep_unknown(const DeletedFact& other) { unknown.merge(other.unknown); }
  auto operator<=>(const DeletedFact&) const = default;
};

// An operator's grant: the source id is `grant:<id>`, and so is its place,
// which is deleted when the grant is revoked.
struct Granted {
  UnixTime until = kForever;
  std::vector<Identifier> identifiers;
  UnixTime from = {};  // when it was said
  std::string by = {}, reason = {};
  UnknownMembers unknown = {};

  static constexpr std::string_view kName = "granted";
  auto rank() const { return std::tie(until, identifiers, from, by, reason); }
  void keep_unknown(const Granted& other) { unknown.merge(other.unknown); }
  auto operator<=>(const Granted&) const = default;
};

struct Source {
  std::string place;  // the place whose facts these are (cus_..., cs_...)

  BoundedSet<Snapshot> snapshots;
  std::optional<PastDueFact> entered_past_due;  // the newest
  BoundedSet<PaidInvoice> invoices;             // newest first
  BoundedSet<Renewal> renewals;                 // newest first
  BoundedSet<PeriodFact> periods;               // newest first
  BoundedSet<SessionFact> sessions;             // paid before unpaid
  BoundedSet<RefundFact> refunds;      // one an id, charges before refunds
  BoundedSet<DisputeFact> disputes;    // one an id
  BoundedSet<SummaryFact> summaries;   // newest first
  std::optional<DeletedFact> deleted;  // the first
  BoundedSet<KeyFact> keys;            // one a price and lookup key
  std::optional<Granted> granted;      // the one that ends last
  UnknownMembers unknown = {};

  bool operator==(const Source&) const = default;

  bool says_nothing() const;  // no facts, and nothing unknown
  // It says more than that something ended or was given back.
  bool may_open_something() const;
  // Of it, what ends something or gives it back.
  Source only_ends() const;

  // Nothing it says cost anything: a trial, what is given away, what is not
  // paid yet. It may say what it gives all the same.
  bool costs_nothing() const;
  // Active-entitlement summaries and nothing else, which do not say by what.
  bool only_summaries() const;

  // Whether this event is among the facts kept.
  bool has_event(std::string_view event) const;

  // Set union, then keep the greatest. True when anything changed.
  // Commutative, associative, idempotent (property-tested).
  bool merge(const Source& other);

  // When the newest fact was said; the epoch when there is none.
  UnixTime newest() const;

  std::string encode() const;                                  // compact JSON
  static std::optional<Source> decode(std::string_view json);  // null: corrupt
};

using Sources = std::map<std::string, Source, std::less<>>;  // by source id

// True when anything changed.
bool merge(Sources& into, const Sources& from);

// When the newest fact of all was said; the epoch when there is none.
UnixTime newest(const Sources& sources);

}  // namespace entitle
