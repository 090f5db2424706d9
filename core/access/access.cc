#include "core/access/access.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace entitle {
namespace {

using State = Projection::State;

Verdict effective_until(UnixTime until, UnixTime now, Lapse otherwise) {
  if (now < until) return {true, until, Lapse::none};
  return {false, {}, otherwise};
}

UnixTime later(UnixTime time, Seconds by) {
  return time == kForever || by >= kForever - time ? kForever : time + by;
}

Verdict judge_state(const Projection& projection, const Policy& policy,
                    UnixTime now) {
  switch (projection.state) {
    case State::active:
      return effective_until(later(projection.end, policy.grace), now,
                             Lapse::ended);
    case State::ending:
      return effective_until(projection.end, now, Lapse::ended);
    case State::past_due:
      return effective_until(later(projection.since, policy.past_due_grace),
                             now, Lapse::past_due_over);
    case State::provisional:
      // Off is off, also while Stripe's clock is ahead of ours.
      if (policy.provisional == Seconds{0}) return {false, {}, Lapse::not_paid};
      return effective_until(later(projection.since, policy.provisional), now,
                             Lapse::not_paid);
    case State::refunded:
      if (policy.refund_revokes) return {false, {}, Lapse::refunded};
      [[fallthrough]];
    case State::disputed:
      if (projection.disputed && policy.dispute_revokes) {
        return {false, {}, Lapse::disputed};
      }
      [[fallthrough]];
    case State::paid:
      return {true, kForever, Lapse::none};
    case State::not_paid:
      return {false, {}, Lapse::not_paid};
    case State::ended:
      break;
  }
  return {false, {}, Lapse::ended};
}

}  // namespace

Verdict judge(const Projection& projection, const Policy& policy,
              UnixTime now) {
  Verdict verdict = judge_state(projection, policy, now);
  if (verdict.effective && projection.cancelled < verdict.until) {
    verdict = effective_until(projection.cancelled, now, Lapse::ended);
  }
  if (verdict.effective && policy.pause_revokes &&
      now < projection.paused_until) {
    const bool resumes = projection.paused_until < verdict.until;
    return {false,
            {},
            Lapse::collection_paused,
            resumes ? projection.paused_until : kForever};
  }
  return verdict;
}

std::vector<Identifier> effective_identifiers(const Sources& sources,
                                              const Policy& policy,
                                              UnixTime now) {
  std::set<Identifier> effective;
  for (const Projection& projection : project(sources)) {
    if (!judge(projection, policy, now).effective) continue;
    effective.insert(projection.identifiers.begin(),
                     projection.identifiers.end());
  }
  return {effective.begin(), effective.end()};
}

std::vector<Entitlement> entitlements(
    const std::vector<Projection>& projections, const GrantMap& grants,
    const Policy& policy, UnixTime now) {
  std::map<std::string_view, UnixTime> until;
  for (const Projection& projection : projections) {
    Verdict verdict = judge(projection, policy, now);
    if (!verdict.effective) continue;
    for (const Identifier& identifier : projection.identifiers) {
      for (std::string_view name : grants.entitlements_of(identifier)) {
        UnixTime& latest = until[name];
        latest = std::max(latest, verdict.until);
      }
    }
  }
  std::vector<Entitlement> result;
  for (const auto& [name, end] : until) {
    result.push_back({std::string(name), end});
  }
  return result;
}

}  // namespace entitle
