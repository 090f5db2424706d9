// What a browser bought before anybody knew whose it is becomes the user's who
// logs in with it: for each source in the browser's record a claim, newer than
// all that was said of it, by the same protocol as an event's. Nothing that is
// somebody else's moves: only what the browser's record holds, and of that only
// what its place says is the browser's.
//
// What an operator linked to the browser goes along, as an operator's word.
// What has no place any more (an expired one's), and what an operator granted,
// stays.
//
// Before anything moves, the browser's record says to whom (`handed_to`): what
// comes to it later, paid by a reference that was given out before, is that
// user's. So whoever delivers looks there after the delivery, and whoever hands
// over reads what there is after saying so: one of the two sees the other's.
//
// What broke off is finished by the next of either, whoever logs in: a place
// that is not settled is settled.
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
  std::optional<User> user;          // whose; null: nobody's, nothing moved
  std::vector<std::string> sources;  // the user's now
  bool left = false;                 // something is still the browser's
  // The user's version before and after, when nothing else raised it. Null
  // where nothing was handed over, too.
  std::optional<std::pair<std::int64_t, std::int64_t>> raised;
};

// The browser showed an id that was issued then: one that the record has called
// in (`not_before`) hands nothing over. Nothing to hand over: one read, and one
// for each place; nothing is written.
Conversation<HandedOver> hand_over(User browser, UnixTime issued_at, User user,
                                   DeliveryOptions options);

// What has come to a browser that was handed over before: to that user. One
// read where there is none.
Conversation<HandedOver> hand_on(User browser, DeliveryOptions options);

}  // namespace entitle
