// What an operator has waved through by name: other products of the same Stripe
// account (docs/redis.md, `ignored`).
#pragma once

#include <string>
#include <vector>

#include "core/delivery/options.h"
#include "core/redis/conversation.h"
#include "core/redis/transaction.h"
#include "core/stripe/facts.h"

namespace entitle {

// By what it may be ignored that nobody knows yet what an event is about: the
// sources it speaks of, their place and its account. Not empty `places`.
std::vector<std::string> names_to_ignore(const Facts& facts);

// Whether any of these is ignored. `key`: Keys::ignored().
Conversation<bool> is_ignored(Transactions& redis, std::string key,
                              std::vector<std::string> names);
// By itself.
Conversation<bool> is_ignored(DeliveryOptions options,
                              std::vector<std::string> names);

}  // namespace entitle
