// Claims: who says whose a place is. And the fields `claims` and `holders` of a
// place, as JSON (docs/redis.md):
//
//   claims   [{"by":"client_reference","at":1700000000,"event":"evt_1",
//              "to":"u:alice"}, ...]  greatest first
//   holders  ["u:alice", ...]
//
// A target is written as the text inside the braces of its key, so any user's
// bytes become printable ASCII.
#pragma once

#include <compare>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"

namespace entitle {

// Who says whose a place is, least trusted first (docs/redis.md: explicit
// before customer metadata before e-mail). `forward` says that the place is
// part of another one: what it is told about users is told to that one.
enum class ClaimKind {
  forward,
  email,
  customer_metadata,
  session_metadata,
  subscription_metadata,
  client_reference,
};

struct Claim {
  ClaimKind kind;
  UnixTime created;    // of the event
  std::string event;   // evt_...
  std::string target;  // "u:<user>" or "p:<stripe id>"
  auto operator<=>(const Claim&) const = default;
};

std::string_view name(ClaimKind kind);

// Trust: explicit claims alike, then the customer's metadata, then e-mail.
int rank(ClaimKind kind);

std::string encode_claims(const std::vector<Claim>& claims);
std::optional<std::vector<Claim>> decode_claims(std::string_view json);

std::string encode_holders(const std::set<std::string>& holders);
std::optional<std::set<std::string>> decode_holders(std::string_view json);

// "u:<user>" or "p:<place>", percent-encoded. Null when it is neither.
std::string encode_target(std::string_view target);
std::optional<std::string> decode_target(std::string_view text);

// The user of "u:<user>". Null for any other target.
std::optional<User> user_of(std::string_view target);
// The place of "p:<place>". Empty for any other target.
std::string_view place_of(std::string_view target);

}  // namespace entitle
