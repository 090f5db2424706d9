// What an operator has waved through by name: other products of the same Stripe
// account (docs/redis.md, `ignored`).
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/delivery/options.h"
#include "core/redis/conversation.h"
#include "core/redis/transaction.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"

namespace entitle {

// By what it may be ignored that nobody knows yet what an event is about: the
// sources it speaks of, their place and its account. Not empty `places`.
std::vector<std::string> names_to_ignore(const Facts& facts);

// What a source is called.
struct SourceNames {
  std::vector<std::string> whole;    // it, its place and its account
  std::vector<Identifier> known_by;  // none where a grant knows one of them
  ItemPeriods items;  // what else its things are known by, where it is told
  std::vector<std::string> all() const;
};

// Whether it is ignored where these names are: as a whole, or each thing that
// was bought by one of its names. A thing's are its price, product and lookup
// key. Where nobody says what was bought, the payment link stands for all of
// it; and where there is none, any word of the metadata.
bool is_ignored(const SourceNames& source, const std::set<std::string>& names);

// Which of these names are ignored. `key`: Keys::ignored().
std::vector<Command> to_ask_ignored(const std::string& key,
                                    const std::vector<std::string>& names);
std::set<std::string> ignored_in(std::vector<std::string> names,
                                 std::span<const Reply> replies);
Conversation<std::set<std::string>> ignored_among(
    Transactions& redis, std::string key, std::vector<std::string> names);
// Whether any is, by itself.
Conversation<bool> is_ignored(DeliveryOptions options,
                              std::vector<std::string> names);

}  // namespace entitle
