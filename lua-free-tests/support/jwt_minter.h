// Keys and tokens made by OpenSSL directly, never by the code under test.
// Everything here throws std::runtime_error when OpenSSL will not.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace minter {

struct FreePkey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreePkey>;

Pkey rsa(unsigned bits);
Pkey ec(const char* curve);  // "P-256", "P-384", ...
Pkey okp(const char* name);  // "ED25519", "X25519", ...

std::string base64url(std::string_view bytes);
std::string random_bytes(std::size_t count);

std::string public_pem(EVP_PKEY* key);
std::string private_pem(EVP_PKEY* key);

// The JWK's members without braces, e.g. `"kty":"RSA","n":"...","e":"AQAB"`.
std::string rsa_members(EVP_PKEY* key);
std::string ec_members(EVP_PKEY* key, std::string_view crv);
std::string okp_members(EVP_PKEY* key);
std::string oct_members(std::string_view secret);

// Raw JWS signatures; `alg` is RFC 7518's name.
// `pss_salt` is the salt's length in bytes.
std::string sign(EVP_PKEY* key, std::string_view alg, std::string_view message,
                 int pss_salt = 32);
std::string mac(std::string_view secret, std::string_view alg,
                std::string_view message);

// header.payload, encoded, and the whole with its signature.
std::string signing_input(std::string_view header, std::string_view claims);
std::string token(EVP_PKEY* key, std::string_view alg, std::string_view header,
                  std::string_view claims);
std::string mac_token(std::string_view secret, std::string_view alg,
                      std::string_view header, std::string_view claims);

}  // namespace minter
