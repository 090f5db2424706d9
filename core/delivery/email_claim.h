// Claiming what waits under an e-mail for the user whose verified e-mail it is.
//
// Places seen with the e-mail (docs/redis.md, `email:`) that belong to nobody
// get a claim of kind `email`, by the same protocol as an event's claims: an
// explicit claim, said before or after, outweighs it. A place that is
// somebody's is left alone, also where it was claimed by this e-mail: whoever
// had it first keeps it, so two users with one e-mail do not take it from each
// other. But an e-mail counts while it is the newest that Stripe tells of: who
// comes with the corrected one gets what somebody has by the wrong one alone.
// Nobody can tell a correction from a customer who changed the address, so
// until then whoever has it keeps it.
//
// Whether the e-mail is this user's is for the caller to know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/redis/conversation.h"

namespace entitle {

// As webhooks store it: ASCII in lower case. Empty: it can be no e-mail (no @,
// over 320 bytes, blanks or control bytes).
std::string claimable_email(std::string_view text);

inline constexpr std::size_t kMostEmailPlaces = 32;  // looked at at one time

struct EmailClaimed {
  std::string error;  // set: broken off; the next time goes on from there
  std::vector<std::string> places;  // claimed now
  // The record's version before and after the claims, when nothing else raised
  // it. Null where nothing was claimed, too.
  std::optional<std::pair<std::int64_t, std::int64_t>> raised;
};

// `email` is a claimable one. Nothing to claim: one read, and one for each
// place of the e-mail; nothing is written.
Conversation<EmailClaimed> claim_by_email(std::string email, User user,
                                          DeliveryOptions options);

}  // namespace entitle
