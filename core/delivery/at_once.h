// Where one server has all keys: all that an event says in two round trips, one
// that reads and one that writes. Its places and the record of whom it names
// are WATCHed and read together; what would be one transaction after another
// (docs/redis.md, "How an event is stored") is then one, in which nobody can
// come in between or die, with the log and all keys to look up.
//
// It is what the protocol would come to where nothing has to move: the place is
// settled and its owner stays, or nothing of it is, or was, anywhere but with
// that one owner, or it is nobody's. All else, and whatever cannot be read, is
// left to the protocol (core/delivery/place_delivery.h), which is also what a
// Cluster gets.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/redis/conversation.h"
#include "core/stripe/facts.h"

namespace entitle {

enum class AtOnce {
  done,
  no,      // nothing was written: it takes the protocol
  failed,  // result.error says why
};

// Done: the result is concluded.
Conversation<AtOnce> deliver_at_once(Delivery& delivery, const Facts& facts);

}  // namespace entitle
