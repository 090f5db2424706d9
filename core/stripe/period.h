// Lengths of periods, where an event does not say when the next one ends.
#pragma once

#include "core/base/types.h"

namespace entitle::stripe {

// When the period ends that follows one of [start, end): as long again, and in
// months where it is one of whole months. A month ends on the day that it began
// on, or with the month if that has no such day (billing_cycle_anchor).
UnixTime next_period_end(UnixTime start, UnixTime end);

}  // namespace entitle::stripe
