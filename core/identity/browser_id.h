// A browser of which nothing is known but an id of its own
// (entitle_guest_user): a user "guest:<22>", the 22 being 16 random bytes in
// base64url, and the token that its cookie carries:
//
//   1.<22>.<issued at, unix s>.<mac>
//
// <mac> is HMAC-SHA256, base64url, 43 characters, over the audience and all
// before it. Its key is for this use alone: neither the id, which Stripe is
// told and anybody may see, nor any other token of ours makes a cookie. For how
// long it is good is not in it: whoever reads it decides.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/crypto/hmac.h"
#include "core/identity/edge_session.h"

namespace entitle {

// Of `entitle_session_key_file`: the first key signs, all verify.
class BrowserKeys {
 public:
  explicit BrowserKeys(std::span<const std::string> raw_keys);  // >= 1
  std::span<const HmacSha256> all() const { return keys_; }

 private:
  std::vector<HmacSha256> keys_;
};

// 16 bytes that nobody can guess.
using BrowserBytes = std::array<std::uint8_t, 16>;
User browser_user(const BrowserBytes& random);

// Whether it is what browser_user() makes: no app may name such a user.
bool is_browser_user(const User& user);

struct BrowserId {
  User user;
  UnixTime issued_at;
  bool by_first_key;  // else it is to be signed anew
};

struct BrowserVerdict {
  std::optional<BrowserId> browser;
  SessionError error = SessionError::malformed;  // when null
};

// `user` is one that is_browser_user().
std::string sign_browser_id(const BrowserKeys& keys, std::string_view audience,
                            const User& user, UnixTime issued_at);
// Good for `lifetime` from when it was issued.
BrowserVerdict verify_browser_id(const BrowserKeys& keys,
                                 std::string_view audience,
                                 std::string_view token, Seconds lifetime,
                                 UnixTime now);

}  // namespace entitle
