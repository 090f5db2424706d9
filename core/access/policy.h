// What the operator decided, apart from what gives what: how long access
// outlasts a payment that failed, what money that went back takes with it, and
// what is given while no money is asked for.
#pragma once

#include <chrono>

#include "core/base/types.h"

namespace entitle {

// entitle_grace, entitle_past_due_grace, entitle_provisional, entitle_refund,
// entitle_dispute, entitle_pause_collection.
struct Policy {
  Seconds grace = std::chrono::hours(72);
  Seconds past_due_grace = std::chrono::hours(24 * 7);
  Seconds provisional{0};
  bool refund_revokes = true;
  bool dispute_revokes = true;
  bool pause_revokes = false;
  bool operator==(const Policy&) const = default;
};

}  // namespace entitle
