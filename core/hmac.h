// HMAC-SHA256 with the key already absorbed: keyed once at configuration time,
// used read-only at request time.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace entitle {

using Mac = std::array<std::uint8_t, 32>;

class HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key);  // throws std::runtime_error
  // Over the concatenation of `parts`. Throws std::runtime_error (no memory).
  Mac operator()(std::initializer_list<std::string_view> parts) const;

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* ctx) const { EVP_MAC_CTX_free(ctx); }
  };
  std::unique_ptr<EVP_MAC_CTX, Free> keyed_;
};

bool equal_constant_time(const Mac& a, const Mac& b);

// HKDF-SHA256 (RFC 5869) with no salt: keys separated by use, so that no
// token passes for another. `use` is e.g. "entitle session v1".
Mac derive_key(std::string_view key, std::string_view use);

}  // namespace entitle
