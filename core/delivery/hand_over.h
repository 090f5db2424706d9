// What a browser bought before anybody knew whose it is becomes the user's who
// logs in with it: for each source in the browser's record a claim, newer than
// all that was said of it, by the same protocol as an event's. Nothing that is
// somebody else's moves: only what the browser's record holds, and of that only
// what its place says is the browser's.
//
// What an operator linked to the browser goes along, as an operator's word.
// What has no place any more (an expired one's), and what an operator granted,
// stays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/redis/conversation.h"

namespace entitle {

struct HandedOver {
  std::string error;                 // set: broken off; the next time goes on
  std::vector<std::string> sources;  // the user's now
  bool left = false;                 // something is still the browser's
  // The user's version before and after, when nothing else raised it. Null
  // where nothing was handed over, too.
  std::optional<std::pair<std::int64_t, std::int64_t>> raised;
};

// Nothing to hand over: one read, and one for each place; nothing is written.
Conversation<HandedOver> hand_over(User browser, User user,
                                   DeliveryOptions options);

}  // namespace entitle
