#include "core/access/projection.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/source/resolve.h"

namespace entitle {

namespace {

using State = Projection::State;

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

void project_status(const ResolvedSubscription& resolved, Projection& into) {
  const SubscriptionState& state = resolved.state;
  std::optional<UnixTime> cancelled = cancellation(state);
  if (resolved.ended) {
    into.state = State::ended;
  } else if (state.status == "active" || state.status == "trialing") {
    bool trial = state.status == "trialing" && state.trial_end;
    into.state = cancelled ? State::ending : State::active;
    into.end = cancelled ? *cancelled
               : trial   ? *state.trial_end
                         : state.period_end.value_or(kForever);
  } else if (state.status == "past_due") {
    into.state = State::past_due;
    into.since = resolved.past_due_since.value_or(UnixTime{});
    into.end = cancelled.value_or(kForever);
  } else if (state.status == "incomplete") {
    into.state = State::not_paid;
  } else {
    into.state = State::ended;  // unpaid, paused, or a status not known yet
  }
}

std::optional<Projection> project_subscription(const Source& source) {
  std::optional<ResolvedSubscription> resolved = resolve(source);
  if (!resolved) return std::nullopt;
  Projection projection;
  projection.ambiguous = resolved->ambiguous;
  projection.identifiers = resolved->state.identifiers;
  project_status(*resolved, projection);
  return projection;
}

// The newest of charge.refunded and the refunds of that charge decides, and of
// the same second what revokes.
bool is_refunded(const Source& payment) {
  return std::any_of(
      payment.refunds.begin(), payment.refunds.end(),
      [&](const RefundFact& charge) {
        return charge.of_charge && charge.full &&
               std::none_of(payment.refunds.begin(), payment.refunds.end(),
                            [&](const RefundFact& refund) {
                              return refund.returned &&
                                     refund.created > charge.created;
                            });
      });
}

bool is_disputed(const Source& payment) {
  return std::any_of(payment.disputes.begin(), payment.disputes.end(),
                     [](const DisputeFact& d) { return d.suspends(); });
}

Projection project_payment(const Source& session, const Sources& sources) {
  Projection projection;
  const SessionFact& best = session.sessions.front();
  projection.identifiers = best.identifiers;
  projection.since = best.created;
  if (!best.paid) return projection;
  projection.state = State::paid;
  bool refunded = false;
  for (const SessionFact& fact : session.sessions) {
    auto payment = sources.find(fact.payment_intent);
    if (payment == sources.end()) continue;
    refunded = refunded || is_refunded(payment->second);
    projection.disputed = projection.disputed || is_disputed(payment->second);
  }
  if (projection.disputed) projection.state = State::disputed;
  if (refunded) projection.state = State::refunded;
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
  if (!best.paid || best.identifiers.empty()) return std::nullopt;
  projection.identifiers = best.identifiers;
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

std::optional<Projection> project_source(const Source& source,
                                         const Sources& sources) {
  if (!source.snapshots.empty() || source.invoice) {
    return project_subscription(source);
  }
  if (!source.sessions.empty()) {
    if (!source.sessions.front().other_mode.empty()) return std::nullopt;
    return source.sessions.front().subscription_mode
               ? project_provisional(source, sources)
               : project_payment(source, sources);
  }
  if (!source.summaries.empty()) return project_features(source);
  return project_grant(source);
}

}  // namespace

std::vector<Projection> project(const Sources& sources) {
  std::set<std::string_view> deleted;
  for (const auto& [id, source] : sources) {
    if (source.deleted) deleted.insert(id);
  }
  std::vector<Projection> projections;
  for (const auto& [id, source] : sources) {
    std::optional<Projection> projection = project_source(source, sources);
    if (!projection) continue;
    projection->source = id;
    if (deleted.contains(source.place)) projection->state = State::ended;
    projections.push_back(*std::move(projection));
  }
  return projections;
}

}  // namespace entitle
