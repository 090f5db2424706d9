// HMAC-SHA256 (RFC 2104) with the key already absorbed: keyed once at
// configuration time, used read-only at request time, from any thread.
//
// The key is held as two SHA-256 states, after the inner and after the outer
// pad; a MAC continues copies of them. That is half the cost of duplicating an
// EVP_MAC context, and unlike re-initialising one it changes nothing that
// another caller could see.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

namespace entitle {

using Mac = std::array<std::uint8_t, 32>;

class HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key);  // throws std::runtime_error
  // Over the concatenation of `parts`. Throws std::runtime_error (no memory).
  Mac operator()(std::initializer_list<std::string_view> parts) const {
    return (*this)(std::span(parts.begin(), parts.size()));
  }
  Mac operator()(std::span<const std::string_view> parts) const;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* state) const { EVP_MD_CTX_free(state); }
  };
  using State = std::unique_ptr<EVP_MD_CTX, Free>;

  State inner_;
  State outer_;
};

bool equal_constant_time(const Mac& a, const Mac& b);

// HKDF-SHA256 (RFC 5869) with no salt: keys separated by use, so that no
// token passes for another. `use` is e.g. "entitle session v1".
// Throws std::runtime_error (no memory).
Mac derive_key(std::string_view key, std::string_view use);

}  // namespace entitle
