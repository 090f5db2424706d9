// Looking through the two lists of what people have to be told of
// (docs/redis.md, `unmatched` and `parked`), some members at a time, for what
// is no longer so without an event that says it: a grant was written meanwhile,
// an operator ignores it, it has ended, its place has expired.
//
// How a member leaves: core/delivery/listed.h. Several may look through one
// list, and each knows its own configuration only: what any of them knows a
// grant for is settled.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/delivery/options.h"
#include "core/redis/conversation.h"

namespace entitle {

inline constexpr std::size_t kMostSwept = 32;  // members at one time

struct Swept {
  std::string error;     // set: broken off
  std::size_t stay = 0;  // of those looked at
  std::size_t gone = 0;
  // Of those that stay, paid more than a minute ago, and Stripe has not said
  // what becomes of that.
  std::size_t awaited = 0;
  bool end = false;  // there are no more
};

// `views`: see opening_nothing(); not empty, of one and the same keys and time.
// `from`: how many members from the oldest are passed over.
Conversation<Swept> sweep_unmatched(std::vector<DeliveryOptions> views,
                                    std::size_t from);
Conversation<Swept> sweep_parked(std::vector<DeliveryOptions> views,
                                 std::size_t from);

}  // namespace entitle
