// One key that verifies signatures of an app's JWTs, and the algorithms it is
// good for. The algorithm is pinned by the key, never chosen by the token.
// Source: RFC 7518 section 3, RFC 8037 section 3, RFC 8725 section 3.1.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/crypto/hmac.h"

namespace entitle {

enum class JwtAlg {
  HS256,
  HS384,
  HS512,
  RS256,
  RS384,
  RS512,
  PS256,
  ES256,
  ES384,
  EdDSA,  // Ed25519 only
};
std::string_view name(JwtAlg alg);
std::optional<JwtAlg> jwt_alg(std::string_view name);  // case matters

// The public key types of this header; freed by EVP_PKEY_free.
struct FreePkey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreePkey>;

class JwtKey {
 public:
  enum class Type { oct, rsa, p256, p384, ed25519 };

  // Each gives null and `why` set when the key is too weak or no such key:
  // `why` never holds key material. Integers and coordinates are big-endian.
  static std::optional<JwtKey> oct(std::string_view secret, std::string& why);
  static std::optional<JwtKey> rsa(std::string_view modulus,
                                   std::string_view exponent, std::string& why);
  static std::optional<JwtKey> ec(Type curve, std::string_view x,
                                  std::string_view y, std::string& why);
  static std::optional<JwtKey> ed25519(std::string_view x, std::string& why);
  static std::optional<JwtKey> from_public_key(Pkey key, std::string& why);

  // From now on good for `alg` alone. False and `why` set: the key's type or
  // size does not allow it.
  bool pin(JwtAlg alg, std::string& why);
  void set_kid(std::string_view kid) { kid_ = kid; }

  Type type() const { return type_; }
  const std::optional<std::string>& kid() const { return kid_; }
  const std::optional<JwtAlg>& alg() const { return alg_; }

  // By type, size and, where it has one, its own algorithm.
  bool allows(JwtAlg alg) const;
  // False where !allows(alg). Leaves OpenSSL's error queue as it was.
  bool verify(JwtAlg alg, std::string_view message,
              std::string_view signature) const;
  // The same key material, whatever kid and algorithm say.
  bool same_material(const JwtKey& other) const;

  JwtKey(JwtKey&&) noexcept = default;
  JwtKey& operator=(JwtKey&&) noexcept = default;
  ~JwtKey();

 private:
  explicit JwtKey(Type type) : type_(type) {}
  bool fits(JwtAlg alg) const;
  bool verify_mac(JwtAlg alg, std::string_view message,
                  std::string_view signature) const;
  bool verify_public(JwtAlg alg, std::string_view message,
                     std::string_view signature) const;

  Type type_;
  std::optional<std::string> kid_;
  std::optional<JwtAlg> alg_;
  std::string secret_;               // oct
  std::optional<HmacSha256> hs256_;  // oct
  Pkey public_;                      // all others
};

}  // namespace entitle
