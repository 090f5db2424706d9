// The edge session: a JWT (RFC 7519, HS256) in one canonical form.
//
//   header   {"alg":"HS256","typ":"entitle+jwt"}            exactly
//   payload  {"aud":"<audience>","sub":"<user>","sv":<version>,
//             "iat":<s>,"exp":<s>,"bnd":"<base64url, 22>"}  exactly, in order
//
// without the line break and spaces shown here. Strings are UTF-8 in which
// only `"` and `\` are escaped; numbers are decimal, not negative, without
// leading zeros; `bnd` is "" when nothing is bound.
//
// Standard enough for any JWT library to read; strict enough that verifying
// needs no JSON parser. Anything but the canonical form is refused.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/crypto/hmac.h"

namespace entitle {

// A longer token is refused unread, and never signed: browsers keep at most
// 4096 bytes of a cookie, name and attributes included.
inline constexpr std::size_t kMaxSessionBytes = 3072;

// How far ahead the clock of the node that signed may be.
inline constexpr Seconds kSessionClockSkew{60};

// What `entitle_session_key_file` gives: the first key signs, all verify.
class SessionKeys {
 public:
  explicit SessionKeys(std::span<const std::string> raw_keys);  // >= 1
  std::span<const HmacSha256> session() const { return session_; }
  const HmacSha256& bind() const { return bind_.front(); }
  std::span<const HmacSha256> binds() const { return bind_; }

 private:
  std::vector<HmacSha256> session_;
  std::vector<HmacSha256> bind_;
};

// What a session is worth: `space` (prefix and mode) and 22 characters that
// stand for all of `parts`: where it was made and who was asked how. So what
// the visitors' question says opens nothing behind the staff's.
std::string session_audience(std::string_view space,
                             std::span<const std::string_view> parts);

struct Session {
  User user;
  std::int64_t version;
  UnixTime issued_at;
  UnixTime expires_at;
  std::string binding;  // see bind(); empty: not bound
};

// One of what a session is bound to: where it is read (which of `kind`, by
// which name) and what it says there, empty where it is absent. One place's
// value is worth nothing at another.
struct BoundTo {
  std::string_view kind;  // "cookie"
  std::string_view name;  // as the configuration says it
  std::string_view value;
};

// 16 bytes of HMAC over the three of each, length-prefixed, base64url. The key
// is the first session key's; check with bind_matches, which tries every key.
// Bound to nothing: empty.
std::string bind(const SessionKeys& keys, std::span<const BoundTo> to);
bool bind_matches(const SessionKeys& keys, std::string_view binding,
                  std::span<const BoundTo> to);

enum class SessionError {
  malformed,
  bad_signature,
  wrong_audience,
  expired,
  not_yet_valid,
};

struct SessionVerdict {
  std::optional<Session> session;
  SessionError error = SessionError::malformed;  // when null
};

// Empty where there is no canonical form: user or audience are not UTF-8, the
// audience has control bytes, a number is negative, `binding` is not what
// bind() makes, the token would be over kMaxSessionBytes.
std::string sign_session(const SessionKeys& keys, std::string_view audience,
                         const Session& session);
// Expired sessions (now >= expires_at) are refused here; freshness and binding
// are the gate's. The signature is checked before anything inside is read.
SessionVerdict verify_session(const SessionKeys& keys,
                              std::string_view audience, std::string_view token,
                              UnixTime now);

}  // namespace entitle
