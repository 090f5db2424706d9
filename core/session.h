// The edge session: a JWT (RFC 7519, HS256) in one canonical form.
//
//   header   {"alg":"HS256","typ":"entitle+jwt"}            exactly
//   payload  {"aud":"<audience>","sub":"<user>","sv":<version>,
//             "iat":<s>,"exp":<s>,"bnd":"<base64url, 22>"}  exactly, in order
//
// Standard enough for any JWT library to read; strict enough that verifying
// needs no JSON parser. Anything but the canonical form is refused.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hmac.h"
#include "core/types.h"

namespace entitle {

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

struct Session {
  User user;
  std::int64_t version;
  UnixTime issued_at;
  UnixTime expires_at;
  std::string binding;  // see bind(); empty: not bound
};

// 16 bytes of HMAC over the length-prefixed values, base64url. The key is the
// first session key's; check with bind_matches, which tries every key.
std::string bind(const SessionKeys& keys, std::span<const std::string_view> values);
bool bind_matches(const SessionKeys& keys, std::string_view binding,
                  std::span<const std::string_view> values);

enum class SessionError { malformed, bad_signature, wrong_audience, expired, not_yet_valid };

struct SessionVerdict {
  std::optional<Session> session;
  SessionError error = SessionError::malformed;  // when null
};

std::string sign_session(const SessionKeys& keys, std::string_view audience,
                         const Session& session);
// Expired sessions are refused here; freshness and binding are the gate's.
SessionVerdict verify_session(const SessionKeys& keys, std::string_view audience,
                              std::string_view token, UnixTime now);

}  // namespace entitle
