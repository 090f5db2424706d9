// HMAC-SHA256 (RFC 2104) with the key already absorbed: keyed once at
// configuration time, used read-only at request time, from any thread.
//
// The key is held as two SHA-256 states, after the inner and after the outer
// pad; a MAC continues copies of them. They are OpenSSL's plain structs, not
// EVP contexts: those are allocated, copied and freed for each half of a MAC,
// which costs as much as hashing a session token. The functions are marked
// deprecated since 3.0, because no provider can take their place.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace entitle {

using Mac = std::array<std::uint8_t, 32>;

class HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = default;
  HmacSha256& operator=(const HmacSha256&) = default;
  // Over the concatenation of `parts`.
  Mac operator()(std::initializer_list<std::string_view> parts) const {
    return (*this)(std::span(parts.begin(), parts.size()));
  }
  Mac operator()(std::span<const std::string_view> parts) const;

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

bool equal_constant_time(const Mac& a, const Mac& b);

// HKDF-SHA256 (RFC 5869) with no salt: keys separated by use, so that no
// token passes for another. `use` is e.g. "entitle session v1".
Mac derive_key(std::string_view key, std::string_view use);

}  // namespace entitle
