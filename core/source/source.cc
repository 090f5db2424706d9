#include "core/source/source.h"

#include <algorithm>
#include <tuple>

#include "core/source/stripe_id.h"

namespace entitle {
namespace {

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

void SummaryFact::prune(std::vector<SummaryFact>& newest_first) {
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
    bool drop = index++ >= kRecent && (complete || (!adds && summary.has_more));
    complete = complete || !summary.has_more;
    return drop;
  });
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

bool Source::says_nothing() const {
  return snapshots.empty() && !entered_past_due && !invoice &&
         sessions.empty() && refunds.empty() && disputes.empty() &&
         summaries.empty() && !deleted && !granted && unknown.empty();
}

bool Source::merge(const Source& other) {
  bool changed = false;
  if (place_rank(other.place) > place_rank(place)) {
    place = other.place;
    changed = true;
  }
  changed |= snapshots.merge(other.snapshots);
  changed |= join(entered_past_due, other.entered_past_due);
  changed |= join(invoice, other.invoice);
  changed |= sessions.merge(other.sessions);
  changed |= refunds.merge(other.refunds);
  changed |= disputes.merge(other.disputes);
  changed |= summaries.merge(other.summaries);
  changed |= join(deleted, other.deleted);
  changed |= join(granted, other.granted);
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
