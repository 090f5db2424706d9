// What comes on the connection that listens for changes, in RESP2:
//
//   CLIENT TRACKING ON REDIRECT <own id> BCAST PREFIX <tracking_prefix>
//   SUBSCRIBE __redis__:invalidate
//   => ["subscribe", "__redis__:invalidate", 1]
//   => ["message", "__redis__:invalidate", [key, ...]]   these changed
//   => ["message", "__redis__:invalidate", nil]          anything may have
//   => ["pong", text]                                    answer to PING text
//
// Source: https://redis.io/docs/latest/develop/reference/client-side-caching/
// and redis 7.0 src/tracking.c. Whatever is not understood on the invalidation
// channel counts as "everything": forgetting too much costs a read, forgetting
// too little costs the truth.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/redis/reply.h"

namespace entitle {

inline constexpr std::string_view kInvalidationChannel = "__redis__:invalidate";

struct PushMessage {
  enum class Kind {
    subscribed,  // to kInvalidationChannel
    keys,        // `keys` changed
    everything,  // FLUSHALL, or not to be understood
    pong,
    unexpected,  // an error or anything else: the connection is of no use
  };
  Kind kind = Kind::unexpected;
  // Both live as long as the message.
  std::span<const Reply> keys;  // all strings
  std::string_view pong;        // what PING carried
};

PushMessage read_push(const Reply& message);

// What all records' keys of this prefix and mode begin with:
// "entitle:live:{u:".
std::string tracking_prefix(std::string_view prefix, Mode mode);

// Whose record this key is, as the app writes the user. Null: it is no record,
// but the log beside one, another prefix's, a foreign key.
std::optional<std::string> user_of_key(std::string_view key,
                                       std::string_view tracking_prefix);

}  // namespace entitle
