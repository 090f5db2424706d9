// What an operator gives somebody, and ends again. A grant is a source of its
// own in the user's record, `grant:<id>`, and its own place: no event is about
// it, so none undoes it. Revoking says that the place is deleted, which ends
// the source wherever and whenever the two meet.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/operators_word.h"
#include "core/delivery/options.h"
#include "core/redis/conversation.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {

// Whether it is the id of a grant's source.
bool is_grant(std::string_view source);
// It is neither revoked nor over.
bool is_grant_in_force(std::string_view id, const Source& source, UnixTime now);

struct GrantResult {
  bool stored = false;
  std::string error;                 // why not; or what was found unreadable
  std::vector<std::string> sources;  // made, or ended
  std::int64_t version = 0;          // of the record, as it is now
};

// Gives `user` what is known by these identifiers, until then (kForever: for
// ever). One transaction on the record.
Conversation<GrantResult> grant_to_user(User user,
                                        std::vector<Identifier> identifiers,
                                        UnixTime until, OperatorsWord word,
                                        DeliveryOptions options);

// Ends those of these grants that the record has and that are in force.
Conversation<GrantResult> revoke_grants(User user,
                                        std::vector<std::string> sources,
                                        OperatorsWord word,
                                        DeliveryOptions options);

}  // namespace entitle
