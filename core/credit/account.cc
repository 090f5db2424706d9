#include "core/credit/account.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/source/resolve.h"

namespace entitle {
namespace {

using Numbers = std::map<Identifier, std::int64_t>;

std::int64_t times(std::int64_t credits, std::int64_t quantity) {
  return credits > kMostCredits / quantity ? kMostCredits : credits * quantity;
}

std::int64_t plus(std::int64_t a, std::int64_t b) {
  return std::min(kMostCredits, a + b);
}

std::int64_t greatest_of(const std::vector<Identifier>& identifiers,
                         const Numbers& numbers) {
  std::int64_t greatest = 0;
  for (const Identifier& identifier : identifiers) {
    auto found = numbers.find(identifier);
    if (found != numbers.end()) greatest = std::max(greatest, found->second);
  }
  return greatest;
}

// --- purchases ---------------------------------------------------------------

// The session's or invoice's lines, and those its payment is said to have.
std::vector<LineItem> lines_of(const Source& purchase, const Sources& sources) {
  std::vector<LineItem> lines;
  auto add = [&](const Source& source) {
    for (const SessionFact& fact : source.sessions) {
      lines.insert(lines.end(), fact.lines.begin(), fact.lines.end());
    }
  };
  add(purchase);
  for (const SessionFact& fact : purchase.sessions) {
    auto payment = sources.find(fact.payment_intent);
    if (payment != sources.end()) add(payment->second);
  }
  return joined_lines(std::move(lines));
}

std::int64_t put_by_purchase(const Projection& projection,
                             const Source& purchase, const Sources& sources,
                             const Numbers& numbers) {
  std::int64_t put = 0;
  for (const LineItem& line : lines_of(purchase, sources)) {
    put =
        plus(put, times(greatest_of(line.identifiers, numbers), line.quantity));
  }
  return put > 0 ? put : greatest_of(projection.identifiers, numbers);
}

// --- periods -----------------------------------------------------------------

struct Period {
  UnixTime from, until;
  std::int64_t quantity = 1;
};

// The newest that has begun. `paid`: an invoice must have said it.
std::optional<Period> period_of(const Source& subscription,
                                std::string_view price, bool paid,
                                UnixTime now) {
  const PeriodFact* newest = nullptr;
  for (const PeriodFact& fact : subscription.periods) {
    if (fact.price != price || fact.from > now || (paid && !fact.paid)) {
      continue;
    }
    // Of one period the subscription says how many there are now.
    bool is_newer = newest == nullptr || fact.from > newest->from ||
                    (fact.from == newest->from && newest->paid && !fact.paid);
    if (is_newer) newest = &fact;
  }
  if (newest == nullptr) return std::nullopt;
  return Period{newest->from, newest->until, newest->quantity};
}

// One that begins later.
std::optional<UnixTime> next_beginning(const Source& subscription,
                                       UnixTime now) {
  std::optional<UnixTime> next;
  for (const PeriodFact& fact : subscription.periods) {
    if (fact.from > now && (!next || fact.from < *next)) next = fact.from;
  }
  return next;
}

bool has(const std::vector<Identifier>& sorted, const Identifier& identifier) {
  return std::binary_search(sorted.begin(), sorted.end(), identifier);
}

std::int64_t number_of(const std::vector<Identifier>& identifiers,
                       const CreditLines& lines) {
  std::int64_t number = greatest_of(identifiers, lines.period);
  return number > 0 ? number : greatest_of(identifiers, lines.once);
}

// Pots by when their period begins; what has none is in one.
class Pots {
 public:
  void add(const CreditPot& pot) {
    if (pot.put <= 0) return;
    auto [at, is_new] = by_beginning_.try_emplace(pot.from, pot);
    if (is_new) return;
    CreditPot& one = at->second;
    one.put = plus(one.put, pot.put);
    one.ends = std::max(one.ends, pot.ends);
    one.until = std::max(one.until, pot.until);
  }
  std::vector<CreditPot> in_order() const {
    std::vector<CreditPot> pots;
    for (const auto& [from, pot] : by_beginning_) pots.push_back(pot);
    std::stable_sort(
        pots.begin(), pots.end(),
        [](const CreditPot& a, const CreditPot& b) { return a.ends < b.ends; });
    return pots;
  }

 private:
  std::map<UnixTime, CreditPot> by_beginning_;
};

CreditPot pot_of(const Period& period, std::int64_t number, UnixTime until) {
  return {period.from, period.until, until, times(number, period.quantity)};
}

// What a subscription's metadata says is said of all its items, once.
void add_by_metadata(const Source& source, const Projection& projection,
                     const CreditLines& lines, UnixTime until, UnixTime now,
                     Pots& pots) {
  std::vector<Identifier> said;
  for (const Identifier& identifier : projection.identifiers) {
    if (!is_of_item(identifier)) said.push_back(identifier);
  }
  const std::int64_t number = number_of(said, lines);
  if (number == 0) return;
  const bool paid = projection.state == Projection::State::past_due;
  std::optional<Period> newest;
  for (const PeriodFact& fact : source.periods) {
    auto period = period_of(source, fact.price, paid, now);
    if (period && (!newest || period->from > newest->from)) newest = period;
  }
  if (!newest) return;
  newest->quantity = 1;
  pots.add(pot_of(*newest, number, until));
}

void add_periods(const Source& source, const Projection& projection,
                 const CreditLines& lines, UnixTime until, UnixTime now,
                 Pots& pots) {
  const std::optional<ResolvedSubscription> resolved = resolve(source);
  if (!resolved) return;
  const bool paid = projection.state == Projection::State::past_due;
  bool any = false;
  for (const ItemPeriod& item : resolved->items) {
    const std::int64_t number = number_of(item.identifiers, lines);
    if (number == 0) continue;
    for (const Identifier& identifier : item.identifiers) {
      if (!is_price(identifier) || !has(projection.identifiers, identifier)) {
        continue;
      }
      any = true;
      if (auto period = period_of(source, identifier.str(), paid, now)) {
        pots.add(pot_of(*period, number, until));
        break;
      }
    }
  }
  if (!any) add_by_metadata(source, projection, lines, until, now, pots);
}

bool is_subscription(const Source& source) {
  return !source.snapshots.empty() || !source.invoices.empty();
}

}  // namespace

std::int64_t CreditAccount::put() const {
  std::int64_t sum = 0;
  for (const CreditPot& pot : pots) sum = plus(sum, pot.put);
  return sum;
}

std::optional<UnixTime> CreditAccount::comes_back() const {
  for (const CreditPot& pot : pots) {
    if (pot.is_of_period()) return pot.ends;
  }
  return std::nullopt;
}

const CreditPot* CreditAccount::find(UnixTime from) const {
  auto at = std::find_if(pots.begin(), pots.end(), [=](const CreditPot& pot) {
    return pot.from == from;
  });
  return at == pots.end() ? nullptr : &*at;
}

CreditAccount credit_account(const Sources& sources, const CreditLines& lines,
                             const Policy& policy, UnixTime now) {
  CreditAccount account;
  Pots pots;
  auto changes_at = [&](UnixTime time) {
    if (time > now) account.same_until = std::min(account.same_until, time);
  };
  for (const Projection& projection : project(sources)) {
    auto found = sources.find(projection.source);
    if (found == sources.end()) continue;
    const Source& source = found->second;
    const Verdict verdict = judge(projection, policy, now);
    changes_at(verdict.effective ? verdict.until : verdict.begins);
    if (!verdict.effective) continue;
    if (projection.state == Projection::State::provisional) continue;
    if (is_subscription(source)) {
      if (auto next = next_beginning(source, now)) changes_at(*next);
      add_periods(source, projection, lines, verdict.until, now, pots);
    } else {
      CreditPot pot;
      pot.put = put_by_purchase(projection, source, sources, lines.once);
      pots.add(pot);
    }
  }
  account.pots = pots.in_order();
  return account;
}

}  // namespace entitle
