// An operator says whose something is: a claim before all others, brought to
// where it belongs by the same protocol as an event's, logged with who said it
// and why. No later event undoes it; what Stripe says later is kept beside it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/operators_word.h"
#include "core/delivery/options.h"
#include "core/redis/conversation.h"
#include "core/source/claim.h"
#include "core/source/source.h"

namespace entitle {

// What a checkout named along with itself, so that whose it is has to be said
// of all: the subscription it is of, the payment, which a refund is of.
std::set<std::string> named_along_with(const Source& source);

// What that claims of a place. `sources`: single ones of it, the first of which
// is what it is about; empty: all of the place, whoever has what of it now, but
// for what an operator has named by itself.
std::vector<Claim> links(const std::vector<std::string>& sources,
                         const User& user, UnixTime said,
                         const std::string& event);

// The place is where the sources are kept (a customer's, mostly).
Conversation<DeliveryResult> link_to_user(std::string place,
                                          std::vector<std::string> sources,
                                          User user, OperatorsWord word,
                                          DeliveryOptions options);

}  // namespace entitle
