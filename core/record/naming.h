// Who is said to own single sources of a place, and which of those are one
// purchase: `claims:<source>` and `waiting:<source>` of docs/redis.md.
//
// A payment and the invoice or session it paid are one: whom any of them names
// owns them all, the newest word counts. An invoice of a subscription that
// nobody is named for is the subscription's owner's, and not the other way
// round: what is said of an invoice does not move the subscription.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/source/claim.h"

namespace entitle {

// By source, greatest first: users, then what the source is part of.
using Naming = std::map<std::string, std::vector<Claim>, std::less<>>;

inline constexpr std::size_t kMaxUsersOfSource = 2;
inline constexpr std::size_t kMaxWholesOfSource = 4;

// About as much as it takes in Redis, with `owner:`.
std::size_t naming_bytes(const Naming& naming);

// Takes a claim about a source. Of one target the newest that names a user, the
// oldest that names what it is part of; of those the kMaxUsersOfSource and
// kMaxWholesOfSource greatest.
void name(Naming& naming, const Claim& claim);

// Of one source all that name it are alike, but a later version's that say
// that they count for more, or for nothing (0).
int rank_of_naming(const Claim& claim);

struct Named {
  // The claim that decides whose it is, for each source that has one.
  std::vector<std::pair<std::string_view, const Claim*>> by;
  // What names its owner waits for room: nobody's.
  std::set<std::string, std::less<>> nobodys;
};
// Views of both.
Named named_by(const Naming& naming, const Naming& waiting);

}  // namespace entitle
