// What became of an event: the words of the log, of `event:<id>` in Redis and
// of the response to Stripe (docs/stripe.md).
#pragma once

#include <string_view>

namespace entitle {

enum class Outcome {
  applied,
  duplicate,   // all of it was known, and belongs to a user
  superseded,  // what is known already leaves nothing of it
  ignored,
  parked,     // kept in its place: no user yet, or an unreadable record
  unmatched,  // kept and effective, but no entitle_grant knows it
  mode_mismatch,
  account_not_allowed,
  not_stored,  // 503: Redis refused, or conflicts did not end
};
std::string_view name(Outcome outcome);

}  // namespace entitle
