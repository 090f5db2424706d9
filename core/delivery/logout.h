// Logging a user out everywhere: every session and token issued before now is
// stale from now on, and every edge session has to be renewed.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/types.h"
#include "core/record/keys.h"
#include "core/redis/conversation.h"
#include "core/redis/transaction.h"

namespace entitle {

enum class LoggedOut {
  everywhere,
  no_record,  // nothing is kept about this user, and nothing was written
  failed,
};

struct LogoutResult {
  LoggedOut outcome = LoggedOut::failed;
  std::int64_t version = 0;  // once logged out
  std::string error;         // why it failed
};

// One transaction on the user's record: `not_before` is the second after `now`
// (never earlier than it was), the version rises, and the log says so. Tokens
// say in whole seconds when they were issued, so one of this very second may be
// from before the logout: it is not believed either.
//
// `wait` follows it, as it follows an event's. A version that cannot rise any
// more stays: `not_before` is enough.
Conversation<LogoutResult> log_out_everywhere(Keys keys, User user,
                                              UnixTime now, std::uint64_t seed,
                                              ReplicaWait wait = {});

}  // namespace entitle
