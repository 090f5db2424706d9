// The lists of what people have to be told of (docs/redis.md, `unmatched` and
// `parked`): sorted sets of members by first sight.
//
// What is told to a list is told after it is written what it speaks of. What is
// taken off is taken off only if nothing was told to the list since what it
// speaks of, read once more, was no longer so: whoever comes late takes off
// nothing that has come back meanwhile, and what is so is on the list at every
// moment, so that a crash leaves it there.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/redis/conversation.h"
#include "core/redis/reply.h"

namespace entitle {

using Members = std::set<std::string>;

// Puts them on. What is on the list already stays where it is, and is told to
// it all the same. What is watched is forgotten. The reason why not; or empty.
Conversation<std::string> put_on(Delivery& delivery, std::string list,
                                 Members members);

// Which of some members belong on a list as things are now. Null: that cannot
// be told, so they stay. Nothing may be watched meanwhile.
using Belongs =
    std::function<Conversation<std::optional<Members>>(const Members&)>;

struct TakenOff {
  std::size_t count = 0;
  std::size_t missing = 0;  // were not there (any more)
  std::string error{};      // why not, if anything went wrong
};
// Takes off those that do not belong there.
Conversation<TakenOff> take_off(Delivery& delivery, std::string list,
                                Members members, Belongs belongs);

// Both for whoever writes, in the same transaction, what it speaks of: nobody
// sees the one without the other.
std::vector<Command> to_put_on(const std::string& list, const Members& members,
                               UnixTime now);
std::vector<Command> to_take_off(const std::string& list,
                                 const Members& members);

}  // namespace entitle
