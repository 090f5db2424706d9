#include "lua-free-tests/support/jwt_minter.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <stdexcept>
#include <vector>

namespace minter {
namespace {

void require(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL refused");
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

const char* digest_of(std::string_view alg) {
  if (alg == "EdDSA") return nullptr;
  if (alg.ends_with("256")) return "SHA256";
  if (alg.ends_with("384")) return "SHA384";
  return "SHA512";
}

std::string number(EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* value = nullptr;
  require(EVP_PKEY_get_bn_param(key, name, &value) == 1);
  std::string text(
      static_cast<std::size_t>(bytes ? bytes : BN_num_bytes(value)), '\0');
  require(BN_bn2binpad(value, reinterpret_cast<unsigned char*>(text.data()),
                       static_cast<int>(text.size())) > 0);
  BN_free(value);
  return text;
}

// DER to r || s.
std::string raw_ecdsa(std::string_view der, int coordinate) {
  const unsigned char* at = bytes_of(der);
  ECDSA_SIG* signature =
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  require(signature);
  std::string raw(static_cast<std::size_t>(2 * coordinate), '\0');
  auto* to = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), to, coordinate);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), to + coordinate, coordinate);
  ECDSA_SIG_free(signature);
  return raw;
}

std::string pem(EVP_PKEY* key, bool with_private) {
  BIO* bio = BIO_new(BIO_s_mem());
  require(bio &&
          (with_private ? PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr,
                                                   0, nullptr, nullptr)
                        : PEM_write_bio_PUBKEY(bio, key)) == 1);
  char* data = nullptr;
  long length = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(length));
  BIO_free(bio);
  return text;
}

}  // namespace

Pkey rsa(unsigned bits) {
  Pkey key(EVP_RSA_gen(bits));
  require(key != nullptr);
  return key;
}

Pkey ec(const char* curve) {
  Pkey key(EVP_EC_gen(curve));
  require(key != nullptr);
  return key;
}

Pkey okp(const char* name) {
  Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, name));
  require(key != nullptr);
  return key;
}

std::string base64url(std::string_view bytes) {
  std::vector<unsigned char> out(bytes.size() / 3 * 4 + 8);
  int length = EVP_EncodeBlock(out.data(), bytes_of(bytes),
                               static_cast<int>(bytes.size()));
  std::string text(out.begin(), out.begin() + length);
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text.substr(0, text.find('='));
}

std::string random_bytes(std::size_t count) {
  std::string text(count, '\0');
  require(RAND_bytes(reinterpret_cast<unsigned char*>(text.data()),
                     static_cast<int>(count)) == 1);
  return text;
}

std::string public_pem(EVP_PKEY* key) { return pem(key, false); }
std::string private_pem(EVP_PKEY* key) { return pem(key, true); }

std::string rsa_members(EVP_PKEY* key) {
  return R"("kty":"RSA","n":")" +
         base64url(number(key, OSSL_PKEY_PARAM_RSA_N)) + R"(","e":")" +
         base64url(number(key, OSSL_PKEY_PARAM_RSA_E)) + '"';
}

std::string ec_members(EVP_PKEY* key, std::string_view crv) {
  int bytes = (EVP_PKEY_get_bits(key) + 7) / 8;
  return R"("kty":"EC","crv":")" + std::string(crv) + R"(","x":")" +
         base64url(number(key, OSSL_PKEY_PARAM_EC_PUB_X, bytes)) +
         R"(","y":")" +
         base64url(number(key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes)) + '"';
}

std::string okp_members(EVP_PKEY* key) {
  std::string raw(32, '\0');
  std::size_t length = raw.size();
  require(EVP_PKEY_get_raw_public_key(
              key, reinterpret_cast<unsigned char*>(raw.data()), &length) == 1);
  return R"("kty":"OKP","crv":"Ed25519","x":")" + base64url(raw) + '"';
}

std::string oct_members(std::string_view secret) {
  return R"("kty":"oct","k":")" + base64url(secret) + '"';
}

std::string sign(EVP_PKEY* key, std::string_view alg, std::string_view message,
                 int pss_salt) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* key_context = nullptr;
  require(EVP_DigestSignInit_ex(context, &key_context, digest_of(alg), nullptr,
                                nullptr, key, nullptr) == 1);
  if (alg.starts_with("PS")) {
    require(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) ==
                1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, pss_salt) == 1);
  }
  std::size_t length = 0;
  require(EVP_DigestSign(context, nullptr, &length, bytes_of(message),
                         message.size()) == 1);
  std::string signature(length, '\0');
  require(EVP_DigestSign(context,
                         reinterpret_cast<unsigned char*>(signature.data()),
                         &length, bytes_of(message), message.size()) == 1);
  signature.resize(length);
  EVP_MD_CTX_free(context);
  if (!alg.starts_with("ES")) return signature;
  return raw_ecdsa(signature, (EVP_PKEY_get_bits(key) + 7) / 8);
}

std::string mac(std::string_view secret, std::string_view alg,
                std::string_view message) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  std::size_t length = 0;
  require(EVP_Q_mac(nullptr, "HMAC", nullptr, digest_of(alg), nullptr,
                    secret.data(), secret.size(), bytes_of(message),
                    message.size(),
                    reinterpret_cast<unsigned char*>(out.data()), out.size(),
                    &length) != nullptr);
  out.resize(length);
  return out;
}

std::string signing_input(std::string_view header, std::string_view claims) {
  return base64url(header) + '.' + base64url(claims);
}

std::string token(EVP_PKEY* key, std::string_view alg, std::string_view header,
                  std::string_view claims) {
  std::string input = signing_input(header, claims);
  return input + '.' + base64url(sign(key, alg, input));
}

std::string mac_token(std::string_view secret, std::string_view alg,
                      std::string_view header, std::string_view claims) {
  std::string input = signing_input(header, claims);
  return input + '.' + base64url(mac(secret, alg, input));
}

}  // namespace minter
