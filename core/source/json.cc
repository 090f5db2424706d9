// A source as it stands in the field `source:<id>` of a record or a place:
// compact JSON, members in this order, left out where they say nothing (false,
// null, empty), so that equal sources are equal bytes. What a later version
// wrote beside them follows, by name (core/source/unknown.h).
//
//   {"place":"cus_...",
//    "snapshots":[{"event":"evt_...","type":"updated","created":1767225600,
//                  "status":"active","period_end":1769904000,"trial_end":...,
//                  "cancel_at":...,"cancel_at_period_end":true,"ended_at":...,
//                  "identifiers":["lookup_key=pro","price_...","prod_..."],
//                  "items":[{"period_end":...,"identifiers":[0,1]}],
//                  "more_items":true,"assumed_end":...,
//                  "pause_collection":"void","resumes_at":...,
//                  "previous":{"status":"past_due","period_end":null,...},
//                  "free":true}],
//    "past_due":{"event":"evt_...","created":...},
//    "invoice":{"event":...,"created":...,"issued":...,"id":"in_...",
//               "period_end":...,"identifiers":[...],
//               "items":[{"period_end":...,"identifiers":[0,1],
//                         "arrears":true}],
//               "returned":[{"price":"price_...","at":...}],"free":true},
//    "invoices":[{"event":...,...},...],
//    "renewals":[{"event":...,"created":...,"id":"in_...","from":...,
//                 "until":...}],
//    "periods":[{"created":...,"price":"price_...","from":...,"until":...,
//                "quantity":3,"paid":true}],
//    "sessions":[{"event":...,"created":...,"mode":"payment","paid":true,
//                 "subscription":"sub_...","payment_intent":"pi_...",
//                 "charge":"ch_...","amount":4900,"identifiers":[...],
//                 "lines":[{"identifiers":[...],"quantity":3}],"free":true}],
//    "refunds":[{"event":...,"created":...,"charge":"ch_...","full":true},
//               {"event":...,"created":...,"refund":"re_...",
//                "returned":true}],
//    "disputes":[{"event":...,"created":...,"id":"du_...","status":"lost"}],
//    "summaries":[{"event":...,"created":...,"identifiers":[...],
//                  "has_more":true,"previous":[...]}],
//    "deleted":{"event":...,"created":...},
//    "keys":[{"event":...,"created":...,"price":"price_...",
//             "key":"lookup_key=pro"}],
//    "granted":{"until":...,"identifiers":[...],"from":...,"by":...,
//               "reason":...}}
//
// Lists are greatest first. A snapshot without "identifiers" has those of the
// one before it in the list (they rarely change). Those of "items" are counted
// in the list beside it, from 0; one item whose end is "period_end" is left
// out. Before "invoices" there was "invoice", the newest; it is read. "issued"
// is left out where it equals "created"; "until" where a grant never ends;
// "quantity" of a period where it is 1, and "lines" where there is one of one.
// Times are unix seconds. In "previous", null says that there was none before.
#include <array>
#include <concepts>

#include "core/source/json_members.h"
#include "core/source/source.h"

namespace entitle {
namespace {

using SnapshotWord = std::pair<SnapshotType, std::string_view>;
constexpr std::array<SnapshotWord, 5> kTypes = {{
    {SnapshotType::created, "created"},
    {SnapshotType::notice, "notice"},
    {SnapshotType::updated, "updated"},
    {SnapshotType::deleted, "deleted"},
    {SnapshotType::told, "told"},
}};
constexpr Words<SnapshotType> kSnapshotTypes = {kTypes, SnapshotType::notice};

using ModeWord = std::pair<bool, std::string_view>;  // of a subscription
constexpr std::array<ModeWord, 2> kModes = {{
    {false, "payment"},
    {true, "subscription"},
}};
constexpr Words<bool> kSessionModes = {kModes, false};

}  // namespace

template <class Fact, class Of>
concept Either = std::same_as<std::remove_const_t<Fact>, Of>;

// --- what each kind of fact has ----------------------------------------------

template <class M, class Fact>
void event(M& m, Fact& fact) {
  m.text("event", fact.event);
  m.time("created", fact.created);
}

template <class M, Either<PreviousState> Fact>
void members(M& m, Fact& fact) {
  m.said("status", fact.status);
  m.said("period_end", fact.period_end);
  m.said("trial_end", fact.trial_end);
  m.said("cancel_at", fact.cancel_at);
  m.said("cancel_at_period_end", fact.cancel_at_period_end);
  m.said("ended_at", fact.ended_at);
  m.said("identifiers", fact.identifiers);
  if (fact.identifiers) m.items("items", fact.items, *fact.identifiers);
  m.said("names", fact.names);
  m.texts("tags", fact.tags);
  m.said("pause_collection", fact.pause_collection);
  m.said("resumes_at", fact.resumes_at);
}

template <class M, Either<Snapshot> Fact>
void members(M& m, Fact& fact) {
  m.text("event", fact.event);
  m.word("type", kSnapshotTypes, fact.type, fact.other_type);
  m.time("created", fact.created);
  m.text("status", fact.state.status);
  m.time("period_end", fact.state.period_end);
  m.time("trial_end", fact.state.trial_end);
  m.time("cancel_at", fact.state.cancel_at);
  m.flag("cancel_at_period_end", fact.state.cancel_at_period_end);
  m.time("ended_at", fact.state.ended_at);
  m.inherited("identifiers", fact.state.identifiers);
  m.items("items", fact.state.items, fact.state.identifiers);
  m.flag("more_items", fact.state.more_items);
  m.time("assumed_end", fact.state.assumed_end);
  m.text("pause_collection", fact.state.pause_collection);
  m.time("resumes_at", fact.state.resumes_at);
  m.object("previous", fact.previous);
  m.flag("free", fact.free);
}

// The event alone.
template <class M, class Fact>
requires Either<Fact, PastDueFact> || Either<Fact, DeletedFact>
void members(M& m, Fact& fact) { event(m, fact); }

template <class M, Either<PaidInvoice> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.time_unless(fact.created, "issued", fact.issued);
  m.text("id", fact.invoice);
  m.time("period_end", fact.period_end);
  m.identifiers("identifiers", fact.identifiers);
  m.items("items", fact.items, fact.identifiers);
  m.list("returned", fact.returned);
  m.flag("free", fact.free);
}

template <class M, Either<Returned> Fact>
void members(M& m, Fact& fact) {
  m.text("price", fact.price);
  m.time("at", fact.at);
}

template <class M, Either<Renewal> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.text("id", fact.invoice);
  m.time("from", fact.from);
  m.time("until", fact.until);
}

template <class M, Either<PeriodFact> Fact>
void members(M& m, Fact& fact) {
  m.time("created", fact.created);
  m.text("price", fact.price);
  m.time("from", fact.from);
  m.time("until", fact.until);
  m.count_unless(1, "quantity", fact.quantity);
  m.flag("paid", fact.paid);
}

template <class M, Either<LineItem> Fact>
void members(M& m, Fact& fact) {
  m.identifiers("identifiers", fact.identifiers);
  m.count("quantity", fact.quantity);
}

template <class M, Either<SessionFact> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.word("mode", kSessionModes, fact.subscription_mode, fact.other_mode);
  m.flag("paid", fact.paid);
  m.text("payment_status", fact.other_status);
  m.text("subscription", fact.subscription);
  m.text("payment_intent", fact.payment_intent);
  m.text("charge", fact.charge);
  m.count("amount", fact.amount);
  m.identifiers("identifiers", fact.identifiers);
  m.list("lines", fact.lines);
  m.flag("free", fact.free);
}

template <class M, Either<RefundFact> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.text_of("charge", "refund", fact.of_charge, fact.id);
  m.flag("full", fact.full);
  m.flag("returned", fact.returned);
  m.count("amount", fact.amount);
  m.count("charged", fact.charged);
}

template <class M, Either<DisputeFact> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.text("id", fact.id);
  m.text("status", fact.status);
}

template <class M, Either<SummaryFact> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.identifiers("identifiers", fact.identifiers);
  m.flag("has_more", fact.has_more);
  m.said("previous", fact.previous);
}

template <class M, Either<KeyFact> Fact>
void members(M& m, Fact& fact) {
  event(m, fact);
  m.text("price", fact.price);
  m.text("key", fact.name);
}

template <class M, Either<Granted> Fact>
void members(M& m, Fact& fact) {
  m.time_unless(kForever, "until", fact.until);
  m.identifiers("identifiers", fact.identifiers);
  m.time("from", fact.from);
  m.text("by", fact.by);
  m.text("reason", fact.reason);
}

template <class M, Either<Source> Fact>
void members(M& m, Fact& source) {
  m.text("place", source.place);
  m.all(source.snapshots);
  m.one(source.entered_past_due);
  m.greatest_and_all("invoice", source.invoices);
  m.all(source.renewals);
  m.all(source.periods);
  m.all(source.sessions);
  m.all(source.refunds);
  m.all(source.disputes);
  m.all(source.summaries);
  m.one(source.deleted);
  m.all(source.keys);
  m.one(source.granted);
}

// Static, and in no namespace of their own: the templates of json_members.h
// find them by their arguments.

// --- what it must have -------------------------------------------------------

template <class Fact>
bool has_event(const Fact& fact) {
  return !fact.event.empty() && fact.created != UnixTime{};
}

template <class Fact>
bool complete(const Fact& fact) {
  return has_event(fact);
}
static bool complete(const PreviousState&) { return true; }
static bool complete(const Granted&) { return true; }
static bool complete(const Source&) { return true; }
static bool complete(const Snapshot& fact) {
  return has_event(fact) && !fact.state.status.empty();
}
static bool complete(PaidInvoice& fact) {
  if (fact.issued == UnixTime{}) fact.issued = fact.created;
  return has_event(fact) && fact.period_end != UnixTime{};
}
static bool complete(const Returned& fact) {
  return !fact.price.empty() && fact.at != UnixTime{};
}
static bool complete(const Renewal& fact) {
  return has_event(fact) && fact.from != UnixTime{} && fact.until > fact.from;
}
static bool complete(const PeriodFact& fact) {
  return fact.created != UnixTime{} && !fact.price.empty() &&
         fact.from != UnixTime{} && fact.until > fact.from && fact.quantity > 0;
}
static bool complete(const LineItem& fact) {
  return !fact.identifiers.empty() && fact.quantity > 0;
}
static bool complete(const RefundFact& fact) {
  return has_event(fact) && !fact.id.empty();
}
static bool complete(const DisputeFact& fact) {
  return has_event(fact) && !fact.id.empty();
}

static bool complete(const KeyFact& fact) {
  return has_event(fact) && !fact.price.empty() && !fact.name.empty();
}

// --- what is not said twice --------------------------------------------------

template <class Fact>
const Identifiers* inheritance(const Fact&) {
  return nullptr;
}
static const Identifiers* inheritance(const Snapshot& fact) {
  return &fact.state.identifiers;
}

template <class Fact>
void inherit(Fact&, const Fact&) {}
static void inherit(Snapshot& fact, const Snapshot& before) {
  fact.state.identifiers = before.state.identifiers;
}

std::string Source::encode() const {
  std::string text;
  text.reserve(512);
  json::Writer out(text);
  MemberWriter(out, nullptr).write(*this, nullptr);
  return text;
}

std::optional<Source> Source::decode(std::string_view json) {
  JsonReader in(json);
  Source read;
  MemberReader::read_object(in, read);
  if (!in.finish()) return std::nullopt;
  UnknownMembers in_order;
  in_order.merge_facts(read.unknown);
  read.unknown = std::move(in_order);
  return read;
}

}  // namespace entitle
