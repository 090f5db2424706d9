// The gate's rules, pure: who is asking, what the record gives, what the
// location requires, and the time decide what happens. No I/O, no clock.
//
// The order of the questions is docs/gating.md's: who is it, is that still
// fresh, does the record hold what is required.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/access/requirement.h"
#include "core/access/standing.h"
#include "core/base/types.h"

namespace entitle {

// $entitle_decision.
enum class Decision { allow, login, pay, error, allow_stale, allow_unverified };
std::string_view name(Decision decision);

// $entitle_reason: why. The first group is about who is asking, the second
// about what they bought, the third about what we could not find out.
enum class Reason {
  ok,
  no_session,       // nothing that could be a session
  session_invalid,  // forged, cut, of another key or audience
  session_unbound,  // valid, but of another session of the app
  session_expired,
  session_stale,  // version, recheck time or not_before ask for a new one
  logged_out,     // since; of a response that was under way
  not_entitled,   // never had it
  not_paid,
  ended,
  past_due_over,
  refunded,
  disputed,
  collection_paused,
  credits_exhausted,
  reauth_failed,
  jwt_keys_unreachable,
  redis_unreachable,
  record_unreadable,
  cost_unknown,  // of a metered request: no number
};
std::string_view name(Reason reason);

// What one way of knowing the user says about a request.
struct Identity {
  std::optional<User> user;  // null: a guest, `why` says why
  Reason why = Reason::no_session;
  std::optional<std::int64_t> version;  // compared with the record's if set
  std::optional<UnixTime> issued_at;    // compared with not_before if set
  std::optional<UnixTime> recheck_at;   // no longer fresh from then on
  // The same bytes say the same until then, as far as the time decides. Null:
  // that is not told.
  std::optional<UnixTime> same_until{};
};

// Whether what a (valid, bound, unexpired) identity says still stands.
bool fresh(const Identity& identity, const Standing& standing, UnixTime now);

// Why a metered request is not paid for.
struct CreditShortage {
  std::string name;  // of the account
  std::int64_t cost = 0;
  std::int64_t left = 0;
  std::optional<UnixTime> comes_back{};  // null: nobody says when
};

struct Ruling {
  Decision decision = Decision::error;
  Reason reason = Reason::redis_unreachable;
  UnixTime until{};  // of an `allow`: when it ends unless renewed
  std::vector<std::string> entitlements;    // all that is effective, sorted
  std::vector<std::string> missing;         // of a `pay`: what would open it
  std::optional<CreditShortage> credits{};  // of one for want of credits
  // By the same record it is the same until then. Null: that is not told.
  std::optional<UnixTime> same_until{};
};

Ruling not_logged_in(Reason why);  // login
Ruling cannot_tell(Reason why);    // error
// A known, fresh user: allow or pay. All lines must hold.
Ruling decide(const Standing& standing, std::span<const Alternatives> lines,
              const GrantMap& grants, const Policy& policy, UnixTime now);

}  // namespace entitle
