#include "core/source/source.h"

#include <algorithm>
#include <tuple>

#include "core/source/bounds.h"
#include "core/source/stripe_id.h"

namespace entitle {
namespace {

// Each rank() orders facts of its kind; what it leaves equal is ordered by all
// members, so that the order is total and merging commutes even where one event
// was rendered twice (endpoints with different API versions).

auto rank(const Snapshot& f) {
  return std::make_tuple(f.terminal(), f.created, std::string_view(f.event));
}
auto rank(const PastDueFact& f) {
  return std::make_tuple(f.created, std::string_view(f.event));
}
// Of two invoices of one second, which cannot be told apart, the shorter.
auto rank(const PaidInvoice& f) {
  return std::make_tuple(f.issued, f.created, kForever - f.period_end,
                         std::string_view(f.event));
}
auto rank(const SessionFact& f) {
  return std::make_tuple(f.paid, f.created, std::string_view(f.event));
}
// Of one refund in one second: failed and canceled are its ends. Of one charge:
// refunds only add up.
auto rank(const RefundFact& f) {
  return std::make_tuple(f.of_charge, f.created, f.full, f.returned,
                         std::string_view(f.event));
}
auto rank(const DisputeFact& f) {
  return std::make_tuple(f.created, f.is_over(), f.suspends(),
                         std::string_view(f.event));
}
auto rank(const SummaryFact& f) {
  return std::make_tuple(f.created, std::string_view(f.event));
}
auto rank(const DeletedFact& f) {
  return std::make_tuple(f.created, std::string_view(f.event));
}

auto rank(const Granted& f) { return std::tie(f.until, f.identifiers); }

template <class Fact>
bool greater(const Fact& a, const Fact& b) {
  auto rank_a = rank(a), rank_b = rank(b);
  return rank_a != rank_b ? rank_a > rank_b : a > b;
}

// Unknown members: nothing is known of their order, so of two copies of one
// fact none loses any.
template <class Fact>
void keep_unknown(Fact& into, const Fact& from) {
  into.unknown.merge(from.unknown);
}
void keep_unknown(Snapshot& into, const Snapshot& from) {
  into.unknown.merge(from.unknown);
  into.previous.unknown.merge(from.previous.unknown);
}

// The greater one; of one rank, what both say that is unknown. So the order is
// that of the ranks, of the known members within a rank, and of sets within
// those: a semilattice.
template <class Fact>
bool join(Fact& into, const Fact& from) {
  if (into == from) return false;
  auto rank_into = rank(into), rank_from = rank(from);
  if (rank_into > rank_from) return false;
  if (rank_into < rank_from) {
    into = from;
    return true;
  }
  Fact joined = std::max(into, from);
  keep_unknown(joined, into);
  keep_unknown(joined, from);
  bool changed = joined != into;
  into = std::move(joined);
  return changed;
}

template <class Fact>
bool keep_greatest(std::optional<Fact>& into, const std::optional<Fact>& from) {
  if (!from) return false;
  if (into) return join(*into, *from);
  into = from;
  return true;
}

// Of facts with the same `key` the greatest; of those the greatest `bound`.
template <class Fact>
bool keep_greatest(std::vector<Fact>& into, const std::vector<Fact>& from,
                   std::string Fact::*key, std::size_t bound) {
  if (from.empty()) return false;
  std::vector<Fact> all = into;
  for (const Fact& fact : from) {
    auto same = std::find_if(all.begin(), all.end(), [&](const Fact& other) {
      return other.*key == fact.*key;
    });
    if (same == all.end()) {
      all.push_back(fact);
    } else {
      join(*same, fact);
    }
  }
  std::sort(all.begin(), all.end(), greater<Fact>);
  if (all.size() > bound) all.erase(all.begin() + bound, all.end());
  if (all == into) return false;
  into = std::move(all);
  return true;
}

// Beyond the newest few a summary stays only for what it alone still says: it
// names a feature no newer one names, and no newer one was complete. So a
// customer with more features than Stripe lists loses none of them.
void drop_outdated(std::vector<SummaryFact>& newest_first) {
  std::vector<Identifier> named;
  bool complete = false;
  std::size_t index = 0;
  std::erase_if(newest_first, [&](const SummaryFact& summary) {
    bool adds = false;
    for (const Identifier& id : summary.identifiers) {
      if (std::find(named.begin(), named.end(), id) != named.end()) continue;
      named.push_back(id);
      adds = true;
    }
    bool drop = index++ >= kRecentSummaries &&
                (complete || (!adds && summary.has_more));
    complete = complete || !summary.has_more;
    return drop;
  });
}

bool merge_summaries(std::vector<SummaryFact>& into,
                     const std::vector<SummaryFact>& from) {
  std::vector<SummaryFact> before = into;
  if (!keep_greatest(into, from, &SummaryFact::event,
                     before.size() + from.size())) {
    return false;
  }
  drop_outdated(into);
  if (into.size() > kMaxSummaries) into.resize(kMaxSummaries);
  return into != before;
}

// The same source may have come by two places, of which one forwards: the
// customer's before the session's, payment's, charge's.
auto place_rank(const std::string& place) {
  StripeId id(place);
  int kind = id.id().empty() ? 0 : 1 + static_cast<int>(id.kind());
  return std::make_tuple(kind, std::string_view(place));
}

template <class Facts>
bool has(const Facts& facts, std::string_view event) {
  return std::any_of(facts.begin(), facts.end(),
                     [&](const auto& fact) { return fact.event == event; });
}

}  // namespace

bool Snapshot::terminal() const {
  return type == SnapshotType::deleted || state.ended_at ||
         state.status == "canceled" || state.status == "incomplete_expired";
}

bool DisputeFact::is_over() const {
  return status == "won" || status == "lost" || status == "warning_closed" ||
         status == "prevented";
}

bool DisputeFact::suspends() const {
  return status != "won" && status != "prevented" &&
         !status.starts_with("warning_");
}

bool Source::has_event(std::string_view event) const {
  return has(snapshots, event) || has(sessions, event) || has(refunds, event) ||
         has(disputes, event) || has(summaries, event) ||
         (entered_past_due && entered_past_due->event == event) ||
         (invoice && invoice->event == event) ||
         (deleted && deleted->event == event);
}

UnixTime Source::newest() const {
  UnixTime newest{};
  auto look = [&](const auto& facts) {
    for (const auto& fact : facts) newest = std::max(newest, fact.created);
  };
  look(snapshots);
  look(sessions);
  look(refunds);
  look(disputes);
  look(summaries);
  if (entered_past_due) newest = std::max(newest, entered_past_due->created);
  if (invoice) newest = std::max(newest, invoice->created);
  if (deleted) newest = std::max(newest, deleted->created);
  return newest;
}

bool Source::merge(const Source& other) {
  bool changed = false;
  if (place_rank(other.place) > place_rank(place)) {
    place = other.place;
    changed = true;
  }
  changed |= keep_greatest(snapshots, other.snapshots, &Snapshot::event,
                           kMaxSnapshots);
  changed |= keep_greatest(entered_past_due, other.entered_past_due);
  changed |= keep_greatest(invoice, other.invoice);
  changed |= keep_greatest(sessions, other.sessions, &SessionFact::event,
                           kMaxSessionFacts);
  changed |=
      keep_greatest(refunds, other.refunds, &RefundFact::id, kMaxRefunds);
  changed |=
      keep_greatest(disputes, other.disputes, &DisputeFact::id, kMaxDisputes);
  changed |= merge_summaries(summaries, other.summaries);
  changed |= keep_greatest(deleted, other.deleted);
  changed |= keep_greatest(granted, other.granted);
  changed |= unknown.merge_facts(other.unknown);
  return changed;
}

bool merge(Sources& into, const Sources& from) {
  bool changed = false;
  for (const auto& [id, source] : from) {
    auto [at, is_new] = into.try_emplace(id, source);
    changed |= is_new || at->second.merge(source);
  }
  return changed;
}

}  // namespace entitle
