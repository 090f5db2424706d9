#include "core/access/projection.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "core/access/given_back.h"
#include "core/source/resolve.h"
#include "core/source/stripe_id.h"

namespace entitle {

namespace {

using State = Projection::State;
using Projections = std::vector<Projection>;

// cancel_at and cancel_at_period_end: whichever comes first. Null: it does not
// end, or nobody said when.
std::optional<UnixTime> cancellation(const SubscriptionState& state) {
  std::optional<UnixTime> end = state.cancel_at;
  if (state.cancel_at_period_end) {
    std::optional<UnixTime> period_end =
        state.period_end ? state.period_end : state.trial_end;
    if (period_end && (!end || *period_end < *end)) end = period_end;
  }
  return end;
}

Projection project_status(const ResolvedSubscription& resolved) {
  const SubscriptionState& state = resolved.state;
  Projection projection;
  projection.ambiguous = resolved.ambiguous;
  projection.paused_until = paused_until(state);
  projection.awaited = resolved.paid_since;
  if (resolved.ended) {
    projection.state = State::ended;
  } else if (state.status == "active" || state.status == "trialing") {
    projection.state = State::active;
    projection.cancelled = cancellation(state).value_or(kForever);
  } else if (state.status == "past_due") {
    projection.state = State::past_due;
    projection.since = resolved.past_due_since.value_or(UnixTime{});
    projection.cancelled = cancellation(state).value_or(kForever);
  } else if (state.status == "incomplete") {
    projection.state = State::not_paid;
  } else {
    projection.state = State::ended;  // unpaid, paused, or not known yet
    projection.unclear = !is_known_status(state.status);
  }
  return projection;
}

// By their ends, the latest first.
using ByEnd =
    std::map<UnixTime, std::vector<Identifier>, std::greater<UnixTime>>;

ByEnd identifiers_by_end(const ResolvedSubscription& resolved) {
  std::optional<UnixTime> last;
  for (const ItemPeriod& item : resolved.items) last = std::max(last, item.end);
  ByEnd by_end;
  for (const Identifier& identifier : resolved.state.identifiers) {
    std::optional<UnixTime> end;
    for (const ItemPeriod& item : resolved.items) {
      if (std::binary_search(item.identifiers.begin(), item.identifiers.end(),
                             identifier)) {
        end = std::max(end, item.end);
      }
    }
    if (!end) end = last ? last : resolved.state.period_end;
    if (!end) end = resolved.state.assumed_end;
    by_end[end.value_or(kForever)].push_back(identifier);
  }
  return by_end;
}

// Only what is active ends item by item.
Projections project_subscription(const Source& source) {
  std::optional<ResolvedSubscription> resolved = resolve(source);
  if (!resolved) return {};
  Projection projection = project_status(*resolved);
  if (projection.state != State::active ||
      resolved->state.identifiers.empty()) {
    projection.identifiers = std::move(resolved->state.identifiers);
    if (projection.state == State::active) {
      projection.end = resolved->state.period_end.value_or(kForever);
    }
    return {std::move(projection)};
  }
  Projections projections;
  for (auto& [end, identifiers] : identifiers_by_end(*resolved)) {
    projection.end = end;
    projection.identifiers = std::move(identifiers);
    projections.push_back(projection);
  }
  return projections;
}

// What was bought and whether it is paid, as one fact says it: the session's,
// or the payment's own (captured by hand, with metadata of its own).
void add_purchase(const SessionFact& fact, Projection& projection) {
  if (fact.paid && projection.state != State::paid) {
    projection.state = State::paid;
    projection.since = fact.created;
  }
  std::vector<Identifier> both;
  std::set_union(projection.identifiers.begin(), projection.identifiers.end(),
                 fact.identifiers.begin(), fact.identifiers.end(),
                 std::back_inserter(both));
  projection.identifiers = std::move(both);
}

// Only known to belong to something: an invoice that nobody has seen. A payment
// that was captured by hand is paid, though only its session says what for.
bool buys_nothing(std::string_view id, const SessionFact& best) {
  return !best.paid && StripeId(id).kind() != StripeId::Kind::checkout_session;
}

// A session, an invoice for no subscription, or a payment by itself.
std::optional<Projection> project_payment(std::string_view id,
                                          const Source& purchase,
                                          const Sources& sources,
                                          const Charges& charges) {
  Projection projection;
  const SessionFact& best = purchase.sessions.front();
  if (buys_nothing(id, best)) return std::nullopt;
  projection.since = best.created;
  add_purchase(best, projection);
  for (const SessionFact& fact : purchase.sessions) {
    // A session sells what it sells; Stripe may have told it with one event and
    // not with the next.
    add_items(fact.identifiers, projection.identifiers);
    auto payment = sources.find(fact.payment_intent);
    if (payment != sources.end() && payment->first != id &&
        !payment->second.sessions.empty()) {
      add_purchase(payment->second.sessions.front(), projection);
    }
  }
  if (projection.state != State::paid) {
    projection.unclear = !best.other_status.empty();
    return projection;
  }
  const GivenBack back = given_back(purchase, sources, charges);
  projection.disputed = back.disputed;
  if (back.disputed) projection.state = State::disputed;
  if (back.refunded) projection.state = State::refunded;
  return projection;
}

// Of a mode that is not known: what it bought, nobody can say.
std::optional<Projection> project_other(const SessionFact& best) {
  if (!best.paid && best.other_status.empty()) return std::nullopt;
  Projection projection;
  projection.since = best.created;
  projection.identifiers = best.identifiers;
  projection.unclear = true;
  return projection;
}

// A paid subscription's session stands in for a subscription nothing is known
// about yet.
std::optional<Projection> project_provisional(const Source& session,
                                              const Sources& sources) {
  Projection projection;
  projection.state = State::provisional;
  projection.since = UnixTime::max();
  for (const SessionFact& fact : session.sessions) {
    auto subscription = sources.find(fact.subscription);
    if (subscription != sources.end() && resolve(subscription->second)) {
      return std::nullopt;
    }
    if (fact.paid) projection.since = std::min(projection.since, fact.created);
  }
  const SessionFact& best = session.sessions.front();
  if (!best.paid) return std::nullopt;
  projection.identifiers = best.identifiers;
  projection.awaited = true;
  return projection;
}

std::optional<Projection> project_features(const Source& source) {
  std::optional<ResolvedFeatures> features = resolve_features(source);
  if (!features || features->identifiers.empty()) return std::nullopt;
  Projection projection;
  projection.state = State::active;
  projection.identifiers = std::move(features->identifiers);
  projection.ambiguous = features->ambiguous;
  return projection;
}

std::optional<Projection> project_grant(const Source& source) {
  if (!source.granted) return std::nullopt;
  Projection projection;
  projection.state = State::ending;
  projection.end = source.granted->until;
  projection.identifiers = source.granted->identifiers;
  return projection;
}

// Given back of a charge, and what that paid nobody knows: what should be shut
// may be open, so somebody has to look.
std::optional<Projection> project_charge(std::string_view id,
                                         const Source& source) {
  if (StripeId(id).kind() != StripeId::Kind::charge) return std::nullopt;
  Projection projection;
  projection.disputed = is_disputed(source);
  if (!projection.disputed && !is_refunded(source)) return std::nullopt;
  projection.state = projection.disputed ? State::disputed : State::refunded;
  projection.unclear = true;
  return projection;
}

// Payments that a session or an invoice is known to be paid by, and charges of
// a payment: part of what that bought. Views of `sources`.
std::set<std::string_view> parts_of_purchases(const Sources& sources) {
  std::set<std::string_view> parts;
  for (const auto& [id, source] : sources) {
    for (const SessionFact& fact : source.sessions) {
      if (fact.payment_intent != id) parts.insert(fact.payment_intent);
      parts.insert(fact.charge);
    }
  }
  return parts;
}

Projections list_of(std::optional<Projection> projection) {
  Projections projections;
  if (projection) projections.push_back(*std::move(projection));
  return projections;
}

Projections project_source(std::string_view id, const Source& source,
                           const Sources& sources, const Charges& charges) {
  if (!source.snapshots.empty() || !source.invoices.empty()) {
    return project_subscription(source);
  }
  if (!source.sessions.empty()) {
    if (!source.sessions.front().other_mode.empty()) {
      return list_of(project_other(source.sessions.front()));
    }
    return source.sessions.front().subscription_mode
               ? list_of(project_provisional(source, sources))
               : list_of(project_payment(id, source, sources, charges));
  }
  if (!source.refunds.empty() || !source.disputes.empty()) {
    return list_of(project_charge(id, source));
  }
  if (!source.summaries.empty()) return list_of(project_features(source));
  return list_of(project_grant(source));
}

bool is_paid_for(const Projection& projection) {
  if (projection.unclear) return true;
  switch (projection.state) {
    case State::active:
    case State::ending:
    case State::past_due:
    case State::paid:
    case State::provisional:
    case State::disputed:
      return true;
    case State::refunded:
    case State::ended:
    case State::not_paid:
      break;
  }
  return false;
}

// A paid session of a subscription of which nothing else is known, or one of a
// later version's mode: there is no projection of those.
bool stands_for_more(const Source& source, const Sources& sources) {
  if (source.sessions.empty()) return false;
  const SessionFact& best = source.sessions.front();
  if (!best.paid || !(best.subscription_mode || !best.other_mode.empty())) {
    return false;
  }
  auto subscription = sources.find(best.subscription);
  return subscription == sources.end() || !resolve(subscription->second);
}

}  // namespace

std::set<std::string> paid_for(const Sources& sources) {
  std::set<std::string> ids;
  for (const Projection& projection : project(sources)) {
    if (is_paid_for(projection)) ids.insert(projection.source);
  }
  for (const auto& [id, source] : sources) {
    auto customer = sources.find(source.place);
    bool deleted = customer != sources.end() && customer->second.deleted;
    bool stands = !deleted && stands_for_more(source, sources);
    if (stands || !source.unknown.empty()) ids.insert(id);
  }
  return ids;
}

bool is_paid_for(const Sources& sources) { return !paid_for(sources).empty(); }

std::vector<Projection> project(const Sources& sources) {
  std::set<std::string_view> deleted;
  for (const auto& [id, source] : sources) {
    if (source.deleted) deleted.insert(id);
  }
  const std::set<std::string_view> parts = parts_of_purchases(sources);
  const Charges charges = charges_in(sources);
  Projections projections;
  for (const auto& [id, source] : sources) {
    if (parts.contains(id)) continue;
    for (Projection& projection :
         project_source(id, source, sources, charges)) {
      projection.source = id;
      if (deleted.contains(source.place)) {
        projection.state = State::ended;
        projection.unclear = false;
        projection.awaited = false;
      }
      projections.push_back(std::move(projection));
    }
  }
  return projections;
}

}  // namespace entitle
