#include "core/source/forget.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace entitle {
namespace {

// What lies further back than `kept` is forgotten.
struct Horizon {
  UnixTime now;
  bool is_past(UnixTime time, Seconds kept) const {
    return time != kForever && now - time > kept;
  }
};

template <class Fact>
void forget_one(std::optional<Fact>& fact, bool forgets) {
  if (forgets) fact.reset();
}

void forget_ended(Source& source, Horizon horizon) {
  source.snapshots.forget([&](const Snapshot& fact, std::size_t n) {
    return horizon.is_past(fact.created, n == 0 ? kKeptAfterEnd : kLatest);
  });
  auto is_past = [&](const auto& fact) {
    return fact && horizon.is_past(fact->created, kLatest);
  };
  forget_one(source.entered_past_due, is_past(source.entered_past_due));
  auto was_paid = [&](const auto& fact, std::size_t) {
    return horizon.is_past(fact.created, kLatest);
  };
  source.invoices.forget(was_paid);
  source.renewals.forget(was_paid);
  source.periods = {};  // what has ended puts nothing on an account
  source.keys.forget(was_paid);
}

// A list that was cut says nothing of what it does not name, so older ones
// count until there is a whole one above them. And while it is past due, those
// that say since when: what was forgotten would let its grace begin anew.
void forget_outdated(BoundedSet<Snapshot>& snapshots, Horizon horizon) {
  bool complete_above = false, other_above = false;
  snapshots.forget([&](const Snapshot& fact, std::size_t) {
    bool forgets = complete_above && other_above &&
                   horizon.is_past(fact.created, kKeptAfterEnd);
    complete_above = complete_above || !fact.state.more_items;
    other_above = other_above || fact.state.status != "past_due";
    return forgets;
  });
}

bool has_ended(const Source& source) {
  return !source.snapshots.empty() && source.snapshots.front().terminal();
}

bool is_paid(const BoundedSet<SessionFact>& sessions) {
  return !sessions.empty() && sessions.front().paid;
}

// --- what cost nothing -------------------------------------------------------

// Of a purchase nothing can be given back, so all that can end it is that its
// customer is deleted, and even then it counts among the first: which those are
// must not depend on when that was heard.
bool is_gift(const SessionFact& fact) {
  return fact.free && fact.paid && !fact.subscription_mode &&
         fact.other_mode.empty();
}

bool is_free_start(const SessionFact& fact) {
  return fact.free && fact.subscription_mode;
}

// Facts in an order that says nothing of where they came or went: each with its
// source's id.
struct Taken {
  const SessionFact* fact;
  std::string_view source;
  auto rank() const {
    return std::make_tuple(fact->created, std::string_view(fact->event),
                           source);
  }
};

template <class Counts>
std::vector<Taken> taken_in(const Sources& sources, Counts counts) {
  std::vector<Taken> taken;
  for (const auto& [id, source] : sources) {
    for (const SessionFact& fact : source.sessions) {
      if (counts(fact)) taken.push_back({&fact, id});
    }
  }
  std::sort(taken.begin(), taken.end(),
            [](const Taken& a, const Taken& b) { return a.rank() < b.rank(); });
  return taken;
}

// By identifier, those before it in the list decide: whatever was forgotten had
// kRepeated before it that are still there, so forgetting in between changes
// nothing.
std::set<const SessionFact*> beyond_the_first(const std::vector<Taken>& taken) {
  std::map<std::string_view, std::size_t> before;  // by identifier
  std::set<const SessionFact*> beyond;
  for (const Taken& one : taken) {
    bool counts = one.fact->identifiers.empty() && before[""]++ < kRepeated;
    for (const Identifier& identifier : one.fact->identifiers) {
      counts |= before[identifier.str()]++ < kRepeated;
    }
    if (!counts) beyond.insert(one.fact);
  }
  return beyond;
}

void forget_repeated(Sources& sources) {
  std::set<const SessionFact*> beyond =
      beyond_the_first(taken_in(sources, is_gift));
  std::vector<Taken> starts = taken_in(sources, is_free_start);
  std::reverse(starts.begin(), starts.end());
  beyond.merge(beyond_the_first(starts));
  if (beyond.empty()) return;
  for (auto& [id, source] : sources) {
    std::set<std::string> events;
    for (const SessionFact& fact : source.sessions) {
      if (beyond.contains(&fact)) events.insert(fact.event);
    }
    source.sessions.forget([&](const SessionFact& fact, std::size_t) {
      return events.contains(fact.event);
    });
  }
}

// What is not paid, unless it alone says what was bought: a payment may be,
// when it was captured by hand some weeks later or paid for an invoice, and
// then it says what was bought, or by what.
bool forgets_unpaid(const SessionFact& fact,
                    const BoundedSet<SessionFact>& sessions,
                    const Sources& sources, Horizon horizon) {
  if (is_paid(sessions)) {
    std::vector<Identifier> known;
    for (const SessionFact& other : sessions) {
      if (other.paid) add_items(other.identifiers, known);
    }
    if (names_more_items(fact.identifiers, known)) return false;
  }
  // A payment of less than all is not said by what says all.
  bool said_by_paid = std::any_of(
      sessions.begin(), sessions.end(), [&](const SessionFact& other) {
        return other.paid && other.payment_intent == fact.payment_intent &&
               (fact.amount == 0 || fact.amount >= other.amount);
      });
  if (fact.payment_intent.empty() || said_by_paid) {
    return horizon.is_past(fact.created, kLatest);
  }
  auto payment = sources.find(fact.payment_intent);
  bool paid = is_paid(sessions) ||
              (payment != sources.end() && is_paid(payment->second.sessions));
  return !paid && horizon.is_past(fact.created, 2 * kLatest);
}

void forget_sessions(BoundedSet<SessionFact>& sessions, const Sources& all,
                     Horizon horizon) {
  const BoundedSet<SessionFact> before = sessions;
  sessions.forget([&](const SessionFact& fact, std::size_t) {
    if (!fact.other_mode.empty()) return false;  // a later version's
    if (!fact.paid) return forgets_unpaid(fact, before, all, horizon);
    return fact.subscription_mode &&
           horizon.is_past(fact.created,
                           is_free_start(fact) ? kLatest : kKeptAfterEnd);
  });
}

// When each customer who was deleted was so.
using Deletions = std::map<std::string_view, UnixTime>;

Deletions deletions_in(const Sources& sources) {
  Deletions deletions;
  for (const auto& [id, source] : sources) {
    if (source.deleted) deletions[id] = source.deleted->created;
  }
  return deletions;
}

void forget_with_customer(Source& source, UnixTime deleted, Horizon horizon) {
  auto forgets = [&](const auto& fact, std::size_t) {
    return horizon.is_past(std::max(fact.created, deleted), kKeptAfterEnd);
  };
  source.snapshots.forget(forgets);
  source.sessions.forget([&](const SessionFact& fact, std::size_t n) {
    return !is_gift(fact) && forgets(fact, n);
  });
  source.refunds.forget(forgets);
  source.disputes.forget(forgets);
  source.summaries.forget(forgets);
  source.invoices.forget(forgets);
  source.renewals.forget(forgets);
  source.periods.forget(forgets);
  source.keys.forget(forgets);
  auto is_past = [&](const auto& fact) { return fact && forgets(*fact, 0); };
  forget_one(source.entered_past_due, is_past(source.entered_past_due));
}

void forget_unneeded_payments(Sources& sources, Horizon horizon) {
  std::set<std::string, std::less<>> needed;
  for (const auto& [id, source] : sources) {
    for (const SessionFact& fact : source.sessions) {
      needed.insert(fact.payment_intent);
      needed.insert(fact.charge);
    }
  }
  auto forgets = [&](const auto& fact, std::size_t) {
    return horizon.is_past(fact.created, kLatest);
  };
  for (auto& [id, source] : sources) {
    if (needed.contains(id)) continue;
    source.refunds.forget(forgets);
    source.disputes.forget(forgets);
  }
}

}  // namespace

void forget(Sources& sources, UnixTime now) {
  const Horizon horizon{std::min(now, newest(sources))};
  const Deletions deletions = deletions_in(sources);
  for (auto& [id, source] : sources) {
    if (auto deleted = deletions.find(source.place);
        deleted != deletions.end()) {
      forget_with_customer(source, deleted->second, horizon);
    }
    if (has_ended(source)) {
      forget_ended(source, horizon);
    } else {
      forget_outdated(source.snapshots, horizon);
    }
    forget_sessions(source.sessions, sources, horizon);
    forget_one(source.granted,
               source.granted &&
                   horizon.is_past(source.granted->until, kKeptAfterEnd));
  }
  forget_unneeded_payments(sources, horizon);
  forget_repeated(sources);
  std::erase_if(sources,
                [](const auto& one) { return one.second.says_nothing(); });
}

}  // namespace entitle
