// A subscription's state out of the set of what was said about it.
//
// Stripe's events carry seconds, and those of one second have no order but what
// previous_attributes tells. So: nothing comes after the end; else the newest
// second counts; inside it `created` comes before notices and those before
// `updated`; several updates are put in the order in which each one's previous
// attributes are those of the one before and all else is unchanged, beginning
// with the state before that second. Where that leaves several last ones, the
// least privileged is taken and the result flagged. What Stripe told when it
// was asked counts only where no event of its second does.
#include "core/source/resolve.h"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "core/base/types.h"
#include "core/source/chain.h"
#include "core/source/identifier.h"
#include "core/source/paid.h"
#include "core/source/source.h"

namespace entitle {
namespace {

static_assert(Snapshot::kBound <= kMaxChain);

using Group = std::vector<const Snapshot*>;  // of one second

bool is_tag(const Identifier& identifier) {
  return identifier.parts().type == Identifier::Type::tag;
}

// Whether `state` has, of its names or of its items' identifiers, exactly
// `expected`.
bool has_exactly(const SubscriptionState& state, bool names,
                 const std::vector<Identifier>& expected) {
  auto at = expected.begin();
  for (const Identifier& identifier : state.identifiers) {
    if (is_tag(identifier) || is_of_item(identifier) == names) continue;
    if (at == expected.end() || *at != identifier) return false;
    ++at;
  }
  return at == expected.end();
}

bool same_identifiers(const SubscriptionState& a, const SubscriptionState& b,
                      bool names) {
  std::vector<Identifier> of_a;
  for (const Identifier& identifier : a.identifiers) {
    if (!is_tag(identifier) && is_of_item(identifier) != names) {
      of_a.push_back(identifier);
    }
  }
  return has_exactly(b, names, of_a);
}

// How much is asked of an event's previous attributes to follow a state: that
// what they name was so, or also that what they do not name did not change. An
// event between the two that never came breaks the latter.
enum class Link { named, whole };

template <class T>
bool agrees(const std::optional<T>& previous, const T& before, const T& after,
            Link link) {
  if (previous) return *previous == before;
  return link == Link::named || before == after;
}

bool identifiers_agree(const std::optional<std::vector<Identifier>>& previous,
                       const SubscriptionState& before,
                       const SubscriptionState& after, bool names, Link link) {
  // Of a list that was cut, nothing can be said.
  if (before.more_items) return true;
  if (previous) return has_exactly(before, names, *previous);
  return link == Link::named || after.more_items ||
         same_identifiers(before, after, names);
}

// The ends of items are told with the list of items only.
bool periods_agree(const PreviousState& was, const SubscriptionState& before,
                   const SubscriptionState& after, Link link) {
  if (before.more_items) return true;
  if (!was.items.empty()) return was.items == before.items;
  if (was.identifiers || was.period_end) return true;
  return link == Link::named || after.more_items || before.items == after.items;
}

// A state's tags as "KEY=VALUE".
std::vector<std::string_view> tags_of(const SubscriptionState& state) {
  std::vector<std::string_view> tags;
  for (const Identifier& identifier : state.identifiers) {
    if (is_tag(identifier)) tags.push_back(identifier.parts().value);
  }
  return tags;
}

std::string_view key_of(std::string_view tag) {
  return tag.substr(0, tag.find('='));
}

bool tags_agree(const std::vector<std::string>& previous,
                const SubscriptionState& before, const SubscriptionState& after,
                Link link) {
  std::vector<std::string_view> was = tags_of(before), is = tags_of(after);
  // Of more, some were not kept.
  std::size_t most = Identifier::kMaxTags;
  if (was.size() >= most || is.size() >= most) return true;
  auto changed = [&](std::string_view tag) {
    return std::any_of(
        previous.begin(), previous.end(),
        [&](const std::string& entry) { return key_of(entry) == key_of(tag); });
  };
  for (const std::string& entry : previous) {
    auto had = std::find_if(was.begin(), was.end(), [&](std::string_view tag) {
      return key_of(tag) == key_of(entry);
    });
    bool none = entry.find('=') == std::string::npos;
    if (none ? had != was.end() : had == was.end() || *had != entry) {
      return false;
    }
  }
  if (link == Link::named) return true;
  std::erase_if(was, changed);
  std::erase_if(is, changed);
  return was == is;
}

// Whether `next` can directly follow a subscription in this state. Null: the
// state is not known, so anything can.
bool follows(const SubscriptionState* before, const Snapshot& next, Link link) {
  if (before == nullptr) return true;
  const PreviousState& was = next.previous;
  const SubscriptionState& is = next.state;
  return agrees(was.status, before->status, is.status, link) &&
         agrees(was.period_end, before->period_end, is.period_end, link) &&
         agrees(was.trial_end, before->trial_end, is.trial_end, link) &&
         agrees(was.cancel_at, before->cancel_at, is.cancel_at, link) &&
         agrees(was.cancel_at_period_end, before->cancel_at_period_end,
                is.cancel_at_period_end, link) &&
         agrees(was.ended_at, before->ended_at, is.ended_at, link) &&
         agrees(was.pause_collection, before->pause_collection,
                is.pause_collection, link) &&
         agrees(was.resumes_at, before->resumes_at, is.resumes_at, link) &&
         periods_agree(was, *before, is, link) &&
         identifiers_agree(was.identifiers, *before, is, false, link) &&
         identifiers_agree(was.names, *before, is, true, link) &&
         tags_agree(was.tags, *before, is, link);
}

// Those of `updates` that can be the last one of a chain through all of them.
Group possible_last(const SubscriptionState* before, const Group& updates,
                    Link link) {
  std::uint8_t last = chain_ends(
      updates.size(),
      [&](std::size_t y) { return follows(before, *updates[y], link); },
      [&](std::size_t x, std::size_t y) {
        return follows(&updates[x]->state, *updates[y], link);
      });
  Group ends;
  for (std::size_t x = 0; x < updates.size(); ++x) {
    if (last >> x & 1u) ends.push_back(updates[x]);
  }
  return ends;
}

int status_privilege(std::string_view status) {
  if (status == "active" || status == "trialing") return 3;
  return status == "past_due" ? 2 : 0;
}

auto privilege(const Snapshot& snapshot) {
  const SubscriptionState& state = snapshot.state;
  bool ending = state.cancel_at || state.cancel_at_period_end;
  return std::make_tuple(
      status_privilege(state.status), kForever - paused_until(state), !ending,
      state.cancel_at.value_or(kForever), state.period_end.value_or(UnixTime{}),
      state.trial_end.value_or(UnixTime{}), state.identifiers.size(),
      std::string_view(snapshot.event));
}

struct Decided {
  const Snapshot* snapshot = nullptr;
  bool ambiguous = false;
};

// The state after the updates of one second.
Decided last_of(Decided before, const Group& updates) {
  if (updates.size() == 1) return {updates.front(), false};
  const SubscriptionState* known =
      before.snapshot ? &before.snapshot->state : nullptr;
  Group ends = possible_last(known, updates, Link::whole);
  if (ends.empty()) ends = possible_last(known, updates, Link::named);
  if (ends.empty()) ends = updates;
  const Snapshot* least = *std::min_element(
      ends.begin(), ends.end(), [](const Snapshot* a, const Snapshot* b) {
        return privilege(*a) < privilege(*b);
      });
  bool agree = std::all_of(ends.begin(), ends.end(), [&](const Snapshot* end) {
    return end->state == least->state;
  });
  return {least, !agree || before.ambiguous};
}

Decided after_second(Decided before, const Group& second) {
  Group created, notices, updates, told;
  for (const Snapshot* snapshot : second) {
    Group& kind = snapshot->type == SnapshotType::created  ? created
                  : snapshot->type == SnapshotType::notice ? notices
                  : snapshot->type == SnapshotType::told   ? told
                                                           : updates;
    kind.push_back(snapshot);
  }
  // Any event of the second in which Stripe answered may be the newer one.
  if (told.size() == second.size()) updates = std::move(told);
  if (updates.empty()) updates = std::move(notices);
  if (updates.empty()) return {created.front(), false};
  if (before.snapshot == nullptr && !created.empty()) {
    before = {created.front(), false};
  }
  return last_of(before, updates);
}

// `newest_first` is not empty and has no terminal snapshot.
Decided decide(const BoundedSet<Snapshot>& newest_first) {
  Decided decided;
  // A full set may have lost the beginning of its oldest second. What is kept
  // besides is older than that, and says nothing of the order.
  decided.ambiguous = newest_first.size() >= Snapshot::kBound;
  bool oldest_second = decided.ambiguous;
  std::size_t left = std::min(newest_first.size(), Snapshot::kBound);
  while (left > 0) {
    UnixTime second = newest_first[left - 1].created;
    if (left == 1 || newest_first[left - 2].created != second) {
      decided = {&newest_first[--left], oldest_second};
      oldest_second = false;
      continue;
    }
    Group group;
    for (; left > 0 && newest_first[left - 1].created == second; --left) {
      group.push_back(&newest_first[left - 1]);
    }
    decided = after_second(decided, group);
    decided.ambiguous |= oldest_second;
    oldest_second = false;
  }
  return decided;
}

// Whether what `item` is known by is listed: its prices, or all there is.
bool is_listed(const ItemPeriod& item, const std::vector<Identifier>& listed) {
  auto is_in = [&](const Identifier& identifier) {
    return std::find(listed.begin(), listed.end(), identifier) != listed.end();
  };
  return std::any_of(item.identifiers.begin(), item.identifiers.end(),
                     [&](const Identifier& identifier) {
                       return is_price(identifier) && is_in(identifier);
                     }) ||
         std::all_of(item.identifiers.begin(), item.identifiers.end(), is_in);
}

// items.has_more: what is not listed may still be there, so what earlier
// snapshots knew stays, back to the last one that was complete. If its period
// is over by now, it went on with the others. What is listed later ends as it
// says there.
void add_unlisted(const BoundedSet<Snapshot>& newest_first,
                  const Snapshot& decided, ResolvedSubscription& resolved) {
  SubscriptionState& state = resolved.state;
  bool older = false;
  for (const Snapshot& snapshot : newest_first) {
    if (&snapshot == &decided) {
      older = true;
    } else if (older) {
      for (ItemPeriod& item : items_of(snapshot.state)) {
        if (is_listed(item, state.identifiers)) continue;
        if (!item.end || *item.end <= decided.created) {
          item.end = state.period_end;
        }
        resolved.items.push_back(std::move(item));
      }
      state.identifiers.insert(state.identifiers.end(),
                               snapshot.state.identifiers.begin(),
                               snapshot.state.identifiers.end());
      if (!snapshot.state.more_items) break;
    }
  }
  std::sort(state.identifiers.begin(), state.identifiers.end());
  state.identifiers.erase(
      std::unique(state.identifiers.begin(), state.identifiers.end()),
      state.identifiers.end());
  resolved.items = joined_items(std::move(resolved.items));
}

// When it was past due at the earliest, where the event that said so is lost
// and only the last of many are left: as the period ended that `other` was paid
// for, if that is in between.
UnixTime earliest_past_due(const Snapshot& other, UnixTime oldest_kept) {
  std::optional<UnixTime> end = other.state.period_end;
  return end && *end > other.created && *end < oldest_kept ? *end
                                                           : other.created;
}

// When the past_due that holds now began. However many events repeat it, it
// does not begin later.
UnixTime past_due_since(const Source& source, const Snapshot& decided) {
  const Snapshot* other = nullptr;  // the newest that was not past due
  std::size_t past_due = 0;
  UnixTime since = decided.created;
  for (const Snapshot& snapshot : source.snapshots) {
    if (snapshot.state.status != "past_due") {
      other = &snapshot;
      break;
    }
    ++past_due;
    since = std::min(since, snapshot.created);
  }
  if (source.entered_past_due &&
      (!other || source.entered_past_due->created >= other->created)) {
    return source.entered_past_due->created;
  }
  if (other && past_due >= Snapshot::kBound) {
    return earliest_past_due(*other, since);
  }
  return since;
}

// A shop may give a lookup key to another price. Who bought by it has it as
// long as the price that it was seen with.
void keep_lookup_keys(const Source& source, std::vector<Identifier>& sorted) {
  auto has = [&](const std::string& text) {
    return std::any_of(sorted.begin(), sorted.end(),
                       [&](const auto& known) { return known.str() == text; });
  };
  std::vector<Identifier> kept;
  for (const KeyFact& fact : source.keys) {
    if (!has(fact.price) || has(fact.name)) continue;
    std::optional<Identifier> key = Identifier::stored(fact.name);
    if (key) kept.push_back(*std::move(key));
  }
  if (kept.empty()) return;
  sorted.insert(sorted.end(), kept.begin(), kept.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
}

bool is_paid_since(const Source& source, const Snapshot& decided) {
  const std::string& status = decided.state.status;
  if (status != "past_due" && status != "unpaid" && status != "paused") {
    return false;
  }
  auto is_later = [&](const auto& fact) {
    return fact.created > decided.created;
  };
  return std::any_of(source.invoices.begin(), source.invoices.end(),
                     [&](const PaidInvoice& invoice) {
                       return !invoice.free && is_later(invoice);
                     }) ||
         std::any_of(source.renewals.begin(), source.renewals.end(), is_later);
}

std::optional<ResolvedSubscription> resolve_facts(const Source& source) {
  if (source.snapshots.empty()) return resolve_invoices(source);
  ResolvedSubscription resolved;
  const Snapshot& greatest = source.snapshots.front();
  if (greatest.terminal()) {
    resolved.state = greatest.state;
    resolved.items = items_of(greatest.state);
    resolved.ended = true;
    return resolved;
  }

  Decided decided = decide(source.snapshots);
  resolved.state = decided.snapshot->state;
  resolved.items = items_of(resolved.state);
  resolved.ambiguous = decided.ambiguous;
  if (resolved.state.more_items) {
    add_unlisted(source.snapshots, *decided.snapshot, resolved);
  }
  extend_by_invoices(source, *decided.snapshot, resolved);
  if (resolved.state.status == "past_due") {
    resolved.past_due_since = past_due_since(source, *decided.snapshot);
  }
  resolved.paid_since = is_paid_since(source, *decided.snapshot);
  return resolved;
}

}  // namespace

UnixTime paused_until(const SubscriptionState& state) {
  if (state.pause_collection.empty()) return UnixTime{};
  return state.resumes_at.value_or(kForever);
}

std::optional<ResolvedSubscription> resolve(const Source& source) {
  std::optional<ResolvedSubscription> resolved = resolve_facts(source);
  if (!resolved) return resolved;
  keep_lookup_keys(source, resolved->state.identifiers);
  for (ItemPeriod& item : resolved->items) {
    keep_lookup_keys(source, item.identifiers);
  }
  return resolved;
}

}  // namespace entitle
