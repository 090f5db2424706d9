#include "core/access/decision.h"

#include <algorithm>
#include <utility>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/source/identifier.h"

namespace entitle {
namespace {

Reason reason_of(Lapse lapse) {
  switch (lapse) {
    case Lapse::none:
      break;
    case Lapse::not_paid:
      return Reason::not_paid;
    case Lapse::ended:
      return Reason::ended;
    case Lapse::past_due_over:
      return Reason::past_due_over;
    case Lapse::refunded:
      return Reason::refunded;
    case Lapse::disputed:
      return Reason::disputed;
    case Lapse::collection_paused:
      return Reason::collection_paused;
  }
  return Reason::not_entitled;
}

// Of several lapsed sources the one the user can do something about is told:
// a subscription to resume before a card to mend before a subscription to renew
// before money given back. What condense() leaves out relies on the first.
int usefulness(Reason reason) {
  switch (reason) {
    case Reason::collection_paused:
      return 6;
    case Reason::past_due_over:
      return 5;
    case Reason::ended:
      return 4;
    case Reason::disputed:
      return 3;
    case Reason::refunded:
      return 2;
    case Reason::not_paid:
      return 1;
    default:
      return 0;
  }
}

bool would_give(const Projection& projection, const GrantMap& grants,
                const std::vector<std::string>& names) {
  for (const Identifier& identifier : projection.identifiers) {
    for (const std::string& name : names) {
      if (grants.gives(identifier, name)) return true;
    }
  }
  return false;
}

Reason why_missing(const Standing& standing,
                   const std::vector<std::string>& missing,
                   const GrantMap& grants, const Policy& policy, UnixTime now) {
  Reason told = Reason::not_entitled;
  for (const Projection& projection : standing.projections) {
    const Verdict verdict = judge(projection, policy, now);
    if (verdict.effective || !would_give(projection, grants, missing)) continue;
    const Reason reason = reason_of(verdict.lapse);
    if (usefulness(reason) > usefulness(told)) told = reason;
  }
  return told;
}

// The latest end among the alternatives that are held.
UnixTime held_until(const Alternatives& line,
                    const std::vector<Entitlement>& held) {
  UnixTime until{};
  for (const Entitlement& entitlement : held) {
    if (!is_entitlement_name(entitlement.name)) continue;
    if (std::find(line.begin(), line.end(), entitlement.name) != line.end()) {
      until = std::max(until, entitlement.until);
    }
  }
  return until;
}

}  // namespace

std::string_view name(Decision decision) {
  switch (decision) {
    case Decision::allow:
      return "allow";
    case Decision::login:
      return "login";
    case Decision::pay:
      return "pay";
    case Decision::error:
      return "error";
    case Decision::allow_stale:
      return "allow_stale";
    case Decision::allow_unverified:
      return "allow_unverified";
  }
  return "";
}

std::string_view name(Reason reason) {
  switch (reason) {
    case Reason::ok:
      return "ok";
    case Reason::no_session:
      return "no_session";
    case Reason::session_invalid:
      return "session_invalid";
    case Reason::session_unbound:
      return "session_unbound";
    case Reason::session_expired:
      return "session_expired";
    case Reason::session_stale:
      return "session_stale";
    case Reason::logged_out:
      return "logged_out";
    case Reason::not_entitled:
      return "not_entitled";
    case Reason::not_paid:
      return "not_paid";
    case Reason::ended:
      return "ended";
    case Reason::past_due_over:
      return "past_due_over";
    case Reason::refunded:
      return "refunded";
    case Reason::disputed:
      return "disputed";
    case Reason::collection_paused:
      return "collection_paused";
    case Reason::reauth_failed:
      return "reauth_failed";
    case Reason::jwt_keys_unreachable:
      return "jwt_keys_unreachable";
    case Reason::redis_unreachable:
      return "redis_unreachable";
    case Reason::record_unreadable:
      return "record_unreadable";
    case Reason::credits_exhausted:
      return "credits_exhausted";
    case Reason::cost_unknown:
      return "cost_unknown";
  }
  return "";
}

bool fresh(const Identity& identity, const Standing& standing, UnixTime now) {
  if (identity.version && *identity.version != standing.version) return false;
  if (identity.recheck_at && now >= *identity.recheck_at) return false;
  if (identity.issued_at && standing.not_before &&
      *identity.issued_at < *standing.not_before) {
    return false;
  }
  return true;
}

Ruling not_logged_in(Reason why) { return {Decision::login, why, {}, {}, {}}; }

Ruling cannot_tell(Reason why) { return {Decision::error, why, {}, {}, {}}; }

Ruling decide(const Standing& standing, std::span<const Alternatives> lines,
              const GrantMap& grants, const Policy& policy, UnixTime now) {
  const std::vector<Entitlement> held =
      entitlements(standing.projections, grants, policy, now);

  Ruling ruling{Decision::allow, Reason::ok, kForever, {}, {}};
  for (const Entitlement& entitlement : held) {
    ruling.entitlements.push_back(entitlement.name);
  }
  if (all_met(lines, ruling.entitlements)) {
    for (const Alternatives& line : lines) {
      ruling.until = std::min(ruling.until, held_until(line, held));
    }
    return ruling;
  }
  ruling.decision = Decision::pay;
  ruling.until = {};
  ruling.missing = missing_names(lines, ruling.entitlements);
  ruling.reason = why_missing(standing, ruling.missing, grants, policy, now);
  return ruling;
}

}  // namespace entitle
