// The app's own JWT: a compact JWS (RFC 7515) with registered claims (RFC
// 7519), verified as RFC 8725 advises.
//
//   - the key pins the algorithm (core/identity/jwt_key.h); `none` is never one
//   - a token with a kid is tried with the keys of that kid, then with keys
//     that have none; a token without a kid with every key of its algorithm; 8
//     keys at most, since each costs up to a millisecond
//   - `crit` and `b64` other than true are refused; `jku`, `x5u`, `jwk`, `x5c`
//     are never looked at
//   - strict base64url; no JSON member twice; at most 8 KiB
//   - nothing in the claims is looked at before the signature holds
//
// The app's token is not our session cookie: see core/identity/edge_session.h
// for that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/identity/jwk.h"

namespace entitle {

inline constexpr std::size_t kMaxJwt = 8 * 1024;

struct JwtRules {
  std::vector<std::string> issuers;    // `iss` is one of these; empty: any
  std::vector<std::string> audiences;  // `aud` has one of these; empty: any
  Seconds leeway{0};                   // for exp, nbf and iat; not negative
  std::string user_claim = "sub";
  std::string version_claim;  // empty: a token has no version
};

struct JwtClaims {
  User user;
  std::optional<std::int64_t> version;  // absent or null: none
  std::optional<UnixTime> issued_at;    // `iat`, rounded down
  UnixTime expires_at = kForever;       // `exp`, rounded down
  UnixTime usable_until = kForever;     // expires_at + leeway; then no more
  bool operator==(const JwtClaims&) const = default;
};

enum class JwtError {
  malformed,        // not a JWS of three parts, or no such header
  encrypted,        // a JWE (RFC 7516): five parts; only signed ones are read
  unsupported,      // crit, or b64 other than true
  alg_not_allowed,  // none, unknown, or not what its keys are for
  unknown_key,      // no key of this kid: newer keys may know it
  bad_signature,
  claims_malformed,  // no object, or a registered claim of the wrong type; a
                     // date after the year 9999, most likely milliseconds
  wrong_issuer,
  wrong_audience,
  expired,
  not_yet_valid,  // nbf or iat in the future
  no_user,        // the user claim is absent or no User
};
std::string_view name(JwtError error);

struct JwtVerdict {
  std::optional<JwtClaims> claims;
  JwtError error = JwtError::malformed;  // when null
  // No key is known for it: of its kid, or good for a token that names none.
  // Newer keys may be.
  bool key_missing = false;
};

// `token` as it came. Throws std::runtime_error or std::bad_alloc (no memory).
JwtVerdict verify_jwt(const JwtKeys& keys, const JwtRules& rules,
                      std::string_view token, UnixTime now);

// What to verify of an Authorization header, cookie or argument: without
// `Bearer ` (in any case) and white space around it. Null: nothing there, or
// another scheme. A view of `value`.
std::optional<std::string_view> bearer_token(std::string_view value);

}  // namespace entitle
