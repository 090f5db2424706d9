// What a user's sources give at a moment. Facts are stored as Stripe said
// them; grants and graces are applied here, when asked, so editing them works
// for every existing customer at once.
#pragma once

#include <string>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {

// Why a source gives nothing now.
enum class Lapse {
  none,
  not_paid,
  ended,
  past_due_over,
  refunded,
  disputed,
  collection_paused,
};

struct Verdict {
  bool effective = false;
  UnixTime until{};  // when effective; kForever: no known end
  Lapse lapse = Lapse::none;
  // When not: from when on it is, if nothing happens but that time passes.
  UnixTime begins = kForever;
};
Verdict judge(const Projection& projection, const Policy& policy, UnixTime now);

// The effective identifiers at `now`, sorted, unique. A change of this set is
// what raises the session version.
std::vector<Identifier> effective_identifiers(const Sources& sources,
                                              const Policy& policy,
                                              UnixTime now);

struct Entitlement {
  std::string name;
  UnixTime until;  // the latest of what gives it
};
// What is effective at `now`, by name, sorted.
std::vector<Entitlement> entitlements(
    const std::vector<Projection>& projections, const GrantMap& grants,
    const Policy& policy, UnixTime now);

}  // namespace entitle
