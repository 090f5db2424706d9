#include "core/source/source.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

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

// What one item is known by alone: its price, or all there is, or nothing.
std::vector<std::string> keys_of(const ItemPeriod& item) {
  std::vector<std::string> prices, all;
  for (const Identifier& identifier : item.identifiers) {
    all.push_back(identifier.str());
    if (is_price(identifier)) prices.push_back(identifier.str());
  }
  if (!prices.empty()) return prices;
  return all.empty() ? std::vector<std::string>(1) : all;
}

using InvoicePerPrice = std::map<std::string, const PaidInvoice*>;

// Until when each price is paid in arrears, and by which invoice: what is
// billed in the middle of a period takes nothing from what was paid before.
InvoicePerPrice latest_in_arrears(
    const std::vector<PaidInvoice>& newest_first) {
  std::map<std::string, UnixTime> ends;
  InvoicePerPrice latest;
  for (const PaidInvoice& invoice : newest_first) {
    for (const ItemPeriod& item : invoice.items) {
      if (!item.arrears || !item.end) continue;
      for (const std::string& price : keys_of(item)) {
        auto [end, is_new] = ends.try_emplace(price, *item.end);
        if (!is_new && end->second >= *item.end) continue;
        end->second = *item.end;
        latest[price] = &invoice;
      }
    }
  }
  return latest;
}

}  // namespace

bool is_price(const Identifier& identifier) {
  Identifier::Type type = identifier.parts().type;
  return type == Identifier::Type::price || type == Identifier::Type::plan ||
         type == Identifier::Type::named_price;
}

void ItemPeriod::keep_only(const std::vector<Identifier>& sorted) {
  std::erase_if(identifiers, [&](const Identifier& identifier) {
    return !std::binary_search(sorted.begin(), sorted.end(), identifier);
  });
}

bool is_of_item(const Identifier& identifier) {
  Identifier::Type type = identifier.parts().type;
  return type != Identifier::Type::metadata && type != Identifier::Type::tag;
}

bool names_more_items(const std::vector<Identifier>& identifiers,
                      const std::vector<Identifier>& known) {
  return std::any_of(
      identifiers.begin(), identifiers.end(), [&](const Identifier& one) {
        return is_of_item(one) &&
               !std::binary_search(known.begin(), known.end(), one);
      });
}

void add_items(const std::vector<Identifier>& identifiers,
               std::vector<Identifier>& known) {
  for (const Identifier& one : identifiers) {
    if (!is_of_item(one)) continue;
    auto at = std::lower_bound(known.begin(), known.end(), one);
    if (at == known.end() || *at != one) known.insert(at, one);
  }
}

namespace {

ItemPeriods explicit_items(const ItemPeriods& items,
                           const std::vector<Identifier>& identifiers,
                           std::optional<UnixTime> end) {
  if (!items.empty()) return items;
  ItemPeriod only{{}, end};
  std::copy_if(identifiers.begin(), identifiers.end(),
               std::back_inserter(only.identifiers), is_of_item);
  return {std::move(only)};
}

}  // namespace

ItemPeriods items_of(const SubscriptionState& state) {
  return explicit_items(state.items, state.identifiers, state.period_end);
}

ItemPeriods items_of(const PaidInvoice& invoice) {
  return explicit_items(invoice.items, invoice.identifiers, invoice.period_end);
}

ItemPeriods joined_items(ItemPeriods items) {
  std::erase_if(
      items, [](const ItemPeriod& item) { return item.identifiers.empty(); });
  for (ItemPeriod& item : items) {
    std::sort(item.identifiers.begin(), item.identifiers.end());
    item.identifiers.erase(
        std::unique(item.identifiers.begin(), item.identifiers.end()),
        item.identifiers.end());
  }
  std::sort(items.begin(), items.end(),
            [](const ItemPeriod& a, const ItemPeriod& b) {
              return std::tie(a.identifiers, a.arrears, b.end) <
                     std::tie(b.identifiers, b.arrears, a.end);
            });
  auto same = [](const ItemPeriod& a, const ItemPeriod& b) {
    return a.identifiers == b.identifiers && a.arrears == b.arrears;
  };
  items.erase(std::unique(items.begin(), items.end(), same), items.end());
  return items;
}

bool is_known_status(std::string_view status) {
  constexpr std::string_view kKnown[] = {
      "trialing", "active",   "past_due",   "unpaid",
      "paused",   "canceled", "incomplete", "incomplete_expired"};
  return std::find(std::begin(kKnown), std::end(kKnown), status) !=
         std::end(kKnown);
}

bool Snapshot::terminal() const {
  return type == SnapshotType::deleted || state.ended_at ||
         state.status == "canceled" || state.status == "incomplete_expired";
}

std::vector<Snapshot> Snapshot::keep_besides(
    const std::vector<Snapshot>& newest_first) {
  auto is_whole = [](const Snapshot& one) { return !one.state.more_items; };
  auto is_other = [](const Snapshot& one) {
    return one.state.status != "past_due";
  };
  const auto end = newest_first.end();
  const auto beyond = newest_first.begin() + kBound;
  auto whole = std::find_if(newest_first.begin(), end, is_whole);
  auto other = std::find_if(newest_first.begin(), end, is_other);
  if (other == end) other = end - 1;
  std::vector<Snapshot> kept;
  for (auto at : {std::min(whole, other), std::max(whole, other)}) {
    if (at == end || at < beyond) continue;
    if (kept.empty() || kept.back() != *at) kept.push_back(*at);
  }
  return kept;
}

void SessionFact::keep_learned(const SessionFact& other) {
  std::vector<Identifier> both;
  std::set_union(identifiers.begin(), identifiers.end(),
                 other.identifiers.begin(), other.identifiers.end(),
                 std::back_inserter(both));
  identifiers = std::move(both);
  lines.insert(lines.end(), other.lines.begin(), other.lines.end());
  lines = joined_lines(std::move(lines));
}

std::vector<LineItem> joined_lines(std::vector<LineItem> lines) {
  std::sort(lines.begin(), lines.end(),
            [](const LineItem& a, const LineItem& b) {
              return std::tie(a.identifiers, b.quantity, b.unknown) <
                     std::tie(b.identifiers, a.quantity, a.unknown);
            });
  auto same = [](const LineItem& a, const LineItem& b) {
    return a.identifiers == b.identifiers;
  };
  lines.erase(std::unique(lines.begin(), lines.end(), same), lines.end());
  return lines;
}

void PeriodFact::prune(std::vector<PeriodFact>& newest_first) {
  std::map<std::pair<std::string, bool>, std::size_t> kept;
  std::erase_if(newest_first, [&](const PeriodFact& fact) {
    return kept[{fact.price, fact.paid}]++ >= kOfOne;
  });
}

std::vector<SessionFact> SessionFact::keep_besides(
    const std::vector<SessionFact>& greatest_first) {
  std::vector<Identifier> known;
  std::set<std::pair<bool, std::string_view>> payments;
  auto adds_payment = [&](const SessionFact& fact) {
    return !fact.payment_intent.empty() && payments.size() < kPayments &&
           payments.emplace(fact.paid, fact.payment_intent).second;
  };
  std::vector<SessionFact> kept;
  std::size_t n = 0;
  for (const SessionFact& fact : greatest_first) {
    bool adds = names_more_items(fact.identifiers, known);
    adds |= adds_payment(fact);
    if (n++ >= kBound && adds) kept.push_back(fact);
    add_items(fact.identifiers, known);
  }
  return kept;
}

bool DisputeFact::is_over() const {
  return status == "won" || status == "lost" || status == "warning_closed" ||
         status == "prevented";
}

bool DisputeFact::suspends() const {
  return status != "won" && status != "prevented" &&
         !status.starts_with("warning_");
}

void PaidInvoice::prune(std::vector<PaidInvoice>& newest_first) {
  InvoicePerPrice arrears = latest_in_arrears(newest_first), ahead, returned;
  std::vector<PaidInvoice> needed;
  for (const PaidInvoice& invoice : newest_first) {
    bool decides = false;
    for (const ItemPeriod& item : items_of(invoice)) {
      for (const std::string& price : keys_of(item)) {
        if (!item.arrears) ahead.try_emplace(price, &invoice);
        const InvoicePerPrice& kind = item.arrears ? arrears : ahead;
        auto decider = kind.find(price);
        decides |= decider != kind.end() && decider->second == &invoice;
      }
    }
    for (const Returned& one : invoice.returned) {
      decides |= returned.try_emplace(one.price, &invoice).second;
    }
    if (decides) needed.push_back(invoice);
  }
  newest_first = std::move(needed);
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
         has(invoices, event) || has(renewals, event) ||
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
  look(invoices);
  look(renewals);
  if (entered_past_due) newest = std::max(newest, entered_past_due->created);
  if (deleted) newest = std::max(newest, deleted->created);
  return newest;
}

bool Source::says_nothing() const {
  return snapshots.empty() && !entered_past_due && invoices.empty() &&
         renewals.empty() && sessions.empty() && refunds.empty() &&
         disputes.empty() && summaries.empty() && !deleted && !granted &&
         keys.empty() && periods.empty() && unknown.empty();
}

bool Source::may_open_something() const {
  bool has_ended = !snapshots.empty() && snapshots.front().terminal();
  return (!snapshots.empty() && !has_ended) ||
         (!invoices.empty() && !has_ended) || !sessions.empty() ||
         !summaries.empty() || granted || !unknown.empty();
}

Source Source::only_ends() const {
  if (!may_open_something()) return *this;
  Source ends;
  ends.place = place;
  bool has_ended = !snapshots.empty() && snapshots.front().terminal();
  if (has_ended) ends.snapshots = snapshots;
  ends.refunds = refunds;
  ends.disputes = disputes;
  ends.deleted = deleted;
  return ends;
}

namespace {

bool takes_money(const Snapshot& fact) {
  const std::string& status = fact.state.status;
  return !fact.free && status != "trialing" && status != "incomplete" &&
         status != "paused" && !fact.terminal();
}

}  // namespace

bool Source::costs_nothing() const {
  bool says_of_purchases =
      !snapshots.empty() || !invoices.empty() || !sessions.empty();
  bool says_more = !renewals.empty() || !refunds.empty() || !disputes.empty() ||
                   !summaries.empty() || deleted || granted || !unknown.empty();
  auto cost = [](const auto& fact) { return !fact.free; };
  return says_of_purchases && !says_more &&
         std::none_of(snapshots.begin(), snapshots.end(), takes_money) &&
         std::none_of(invoices.begin(), invoices.end(), cost) &&
         std::none_of(
             sessions.begin(), sessions.end(), [](const SessionFact& fact) {
               return (fact.paid && !fact.free) || !fact.other_mode.empty();
             });
}

bool Source::only_summaries() const {
  Source others = *this;
  others.summaries = {};
  return !summaries.empty() && others.says_nothing();
}

bool Source::merge(const Source& other) {
  bool changed = false;
  if (place_rank(other.place) > place_rank(place)) {
    place = other.place;
    changed = true;
  }
  changed |= snapshots.merge(other.snapshots);
  changed |= join(entered_past_due, other.entered_past_due);
  changed |= invoices.merge(other.invoices);
  changed |= renewals.merge(other.renewals);
  changed |= periods.merge(other.periods);
  changed |= sessions.merge(other.sessions);
  changed |= refunds.merge(other.refunds);
  changed |= disputes.merge(other.disputes);
  changed |= summaries.merge(other.summaries);
  changed |= join(deleted, other.deleted);
  changed |= keys.merge(other.keys);
  changed |= join(granted, other.granted);
  changed |= unknown.merge_facts(other.unknown);
  return changed;
}

UnixTime newest(const Sources& sources) {
  UnixTime newest{};
  for (const auto& [id, source] : sources) {
    newest = std::max(newest, source.newest());
  }
  return newest;
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
