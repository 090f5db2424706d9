// What the search of the status page finds of a user, a Stripe id, an event or
// an e-mail: whose it is, where it is kept, and what is bought. It reads a few
// keys by their names and goes through none: what has no key of its own, a
// subscription, only `entitlectl why` finds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/record/keys.h"
#include "core/record/record.h"
#include "core/redis/conversation.h"
#include "core/source/source.h"

namespace entitle {

inline constexpr std::size_t kMostSearched = 320;  // bytes of what is asked

struct SearchFound {
  std::string asked;
  std::string error;  // set: Redis would not tell
  bool known = false;
  bool readable = true;
  std::optional<User> user;            // whose it is
  std::string place;                   // where it is kept, if not a user's
  std::string event_outcome;           // of an event
  std::vector<std::string> several;    // whose it is, where there are several
  std::int64_t version = 0;            // of the user's record; 0: none
  Sources sources;                     // of the record, or what waits
  std::vector<std::string> log_lines;  // JSON, the newest first
};

Conversation<SearchFound> search(Keys keys, std::string asked);

// What one of the sources comes to now.
struct FoundPurchase {
  std::string source;
  bool paid = false;
  bool effective = false;
  UnixTime until{};        // when effective; kForever: no known end
  std::string_view lapse;  // why not, when not
  std::vector<std::string> identifiers;
  std::vector<std::string> gives;  // entitlements
};
std::vector<FoundPurchase> purchases_of(const Sources& sources,
                                        const GrantMap& grants,
                                        const Policy& policy, UnixTime now);

// One sentence.
std::string verdict_of(const SearchFound& found,
                       const std::vector<FoundPurchase>& purchases);

}  // namespace entitle
