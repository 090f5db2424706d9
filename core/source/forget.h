// What a user's sources need not remember, so that a record stays bounded while
// nothing that was closed opens and nothing that is paid closes.
//
// Each fact is forgotten, or not, by its own time and by what ranks above it,
// so it does not matter when, where and how often something was forgotten in
// between: whatever arrives within kLatest of its event, records that were told
// the same end in the same bytes (convergence_property_test.cc).
//
//   a subscription   its greatest snapshot, its entry into past_due and its
//                    invoices stay until it has ended for good; others for
//                    kKeptAfterEnd, and while no newer one is complete, or none
//                    is other than past_due. Once it has ended, what ended it
//                    stays for kKeptAfterEnd, the rest for kLatest
//   a purchase       what says that it is paid stays for ever, with all refunds
//                    and disputes of its payment; what says that it is not paid
//                    for kLatest, and twice that where it names a payment
//   what cost        stays, if among the first kRepeated that name one of its
//   nothing          identifiers: so often it may be taken anew by anybody, in
//                    anybody's name, and says nothing more. A subscription's
//                    session for kLatest, if among the last kRepeated
//   a payment of     its refunds and disputes stay for kLatest: they may have
//   nothing known    come before their purchase
//   a grant          for kKeptAfterEnd after its end
//   a customer who   for ever. What was theirs has ended with them, and stays
//   was deleted      for kKeptAfterEnd
#pragma once

#include <chrono>
#include <cstddef>

#include "core/base/types.h"
#include "core/source/source.h"

namespace entitle {

// Stripe repeats an event for three days, and anyone may resend one for thirty.
inline constexpr Seconds kLatest = std::chrono::hours(24 * 45);
// So long a refusal says that something has ended.
inline constexpr Seconds kKeptAfterEnd = std::chrono::hours(24 * 400);

// Of what cost nothing, so many count for one identifier.
inline constexpr std::size_t kRepeated = 8;

// `now` counts no further than what the newest fact says: on a node whose clock
// is ahead nothing is forgotten that others still need.
void forget(Sources& sources, UnixTime now);

}  // namespace entitle
