// Claims: who says whose a source, or all of a place, is. And the fields
// `claims`, `claims:<source>` and `holders` of a place, as JSON
// (docs/redis.md):
//
//   claims   [{"by":"client_reference","at":1700000000,"event":"evt_1",
//              "to":"u:alice"}, ...]  greatest first
//   holders  ["u:alice", ...]
//
// A claim of a kind that a later version made is kept, and counts by the number
// in its "rank"; without one it says nothing to us.
#pragma once

#include <compare>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/source/target.h"
#include "core/source/unknown.h"

namespace entitle {

// Who says it. The metadata of a customer and an e-mail speak of the customer;
// the explicit ones of a source, or of whatever nothing better is known of.
// `forward` says that the place is part of another one: what it is told about
// users is told to that one. `part_of` names no user either: a payment and the
// invoice it paid are one purchase, an invoice's is its subscription's. An
// operator's word, of all of a place or of one source, counts before all.
enum class ClaimKind {
  forward,
  email,
  customer_metadata,
  session_metadata,
  subscription_metadata,
  client_reference,
  part_of,
  operators,
  operators_of_purchase,
  other,  // a later version's
};

struct Claim {
  ClaimKind kind;
  UnixTime created;   // when it was said, whatever repeats it later
  std::string event;  // evt_...
  Target target;
  std::string source = {};      // it is about this one; empty: the whole place
  std::string other_kind = {};  // as it is called, of kind other
  UnknownMembers unknown = {};
  // Whether they say the same, whatever else is known of either.
  bool says_what(const Claim& other) const;
  auto operator<=>(const Claim&) const = default;
};

// What counts first where no claim names a source: an operator's word on all of
// it, the customer's metadata, what was said of any source, e-mail. 0: it names
// no user.
inline constexpr int kOperatorsRank = 4;
int rank(const Claim& claim);

// That a source is part of another one, both Stripe ids; not of itself, and
// never in circles (core/record/place.h, may_forward).
Claim part_of(std::string part, std::string_view whole, UnixTime said,
              std::string event);

// Said of a purchase: by a session's reference or metadata, or a
// subscription's.
bool is_explicit(ClaimKind kind);

std::string encode_claims(const std::vector<Claim>& claims);
std::optional<std::vector<Claim>> decode_claims(std::string_view json);

// `others`: what is no user, as JSON, kept for the version that wrote it.
std::string encode_holders(const std::set<Target>& holders,
                           const std::set<std::string>& others = {});
// False: it is no list.
bool decode_holders(std::string_view json, std::set<Target>& holders,
                    std::set<std::string>& others);

}  // namespace entitle
