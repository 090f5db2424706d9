#include "core/identity/jwt_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <utility>

#include "core/crypto/quiet_errors.h"

namespace entitle {
namespace {

constexpr int kMinRsaBits = 2048;  // RFC 7518 section 3.3
constexpr int kMaxRsaBits = 8192;  // a verification stays under a millisecond
constexpr int kMaxExponentBits = 64;  // likewise
constexpr std::size_t kMinSecret = 32;
constexpr std::size_t kMaxSecret = 1024;

struct AlgorithmRow {
  JwtAlg alg;
  std::string_view name;
  const char* digest;  // null: the scheme has its own
  std::size_t digest_bytes;
};
constexpr std::array<AlgorithmRow, 10> kAlgorithms = {{
    {JwtAlg::HS256, "HS256", "SHA256", 32},
    {JwtAlg::HS384, "HS384", "SHA384", 48},
    {JwtAlg::HS512, "HS512", "SHA512", 64},
    {JwtAlg::RS256, "RS256", "SHA256", 32},
    {JwtAlg::RS384, "RS384", "SHA384", 48},
    {JwtAlg::RS512, "RS512", "SHA512", 64},
    {JwtAlg::PS256, "PS256", "SHA256", 32},
    {JwtAlg::ES256, "ES256", "SHA256", 32},
    {JwtAlg::ES384, "ES384", "SHA384", 48},
    {JwtAlg::EdDSA, "EdDSA", nullptr, 64},
}};

const AlgorithmRow& row(JwtAlg alg) {
  return kAlgorithms[static_cast<std::size_t>(alg)];
}

template <auto free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};
using Bignum = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;
using ParamBuilder =
    std::unique_ptr<OSSL_PARAM_BLD, FreeBy<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeBy<OSSL_PARAM_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, FreeBy<ECDSA_SIG_free>>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Bignum bignum(std::string_view big_endian) {
  return Bignum(BN_bin2bn(bytes_of(big_endian),
                          static_cast<int>(big_endian.size()), nullptr));
}

Pkey from_params(const char* type, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                        params.get()) != 1) {
    return nullptr;
  }
  return Pkey(key);
}

bool rsa_is_sound(const EVP_PKEY* key, std::string& why) {
  int bits = EVP_PKEY_get_bits(key);
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    why = "RSA of " + std::to_string(bits) + " bits: 2048 to 8192 are allowed";
    return false;
  }
  BIGNUM* read = nullptr;
  bool have = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &read) == 1;
  Bignum exponent(read);
  if (!have || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) ||
      BN_num_bits(exponent.get()) > kMaxExponentBits) {
    why = "an RSA exponent is odd, at least 3 and below 2^64";
    return false;
  }
  return true;
}

std::optional<JwtKey::Type> curve_of(EVP_PKEY* key, std::string& why) {
  std::array<char, 64> group{};
  std::size_t length = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) {
    why = "an EC key without a named curve: P-256 and P-384 are allowed";
    return std::nullopt;
  }
  std::string_view name(group.data(), length);
  if (name == "prime256v1" || name == "P-256") return JwtKey::Type::p256;
  if (name == "secp384r1" || name == "P-384") return JwtKey::Type::p384;
  why = "EC on " + std::string(name) + ": P-256 and P-384 are allowed";
  return std::nullopt;
}

bool on_curve(EVP_PKEY* key) {
  PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context && EVP_PKEY_public_check(context.get()) == 1;
}

std::size_t coordinate_bytes(JwtKey::Type curve) {
  return curve == JwtKey::Type::p256 ? 32 : 48;
}

// RFC 7518 section 3.4: r || s, each as long as a coordinate; OpenSSL takes
// the DER form.
std::optional<std::string> der_signature(std::string_view raw,
                                         std::size_t coordinate) {
  if (raw.size() != 2 * coordinate) return std::nullopt;
  EcdsaSignature signature(ECDSA_SIG_new());
  Bignum r = bignum(raw.substr(0, coordinate));
  Bignum s = bignum(raw.substr(coordinate));
  if (!signature || !r || !s ||
      ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return std::nullopt;
  }
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return std::nullopt;
  std::string text(reinterpret_cast<char*>(der),
                   static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

// RFC 7518 section 3.5: MGF1 with the same hash (OpenSSL's default) and a salt
// as long as the hash.
bool use_pss(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

}  // namespace

std::string_view name(JwtAlg alg) { return row(alg).name; }

std::optional<JwtAlg> jwt_alg(std::string_view name) {
  for (const AlgorithmRow& known : kAlgorithms) {
    if (known.name == name) return known.alg;
  }
  return std::nullopt;
}

JwtKey::~JwtKey() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

std::optional<JwtKey> JwtKey::oct(std::string_view secret, std::string& why) {
  if (secret.size() < kMinSecret || secret.size() > kMaxSecret) {
    why = "a secret of " + std::to_string(secret.size()) +
          " bytes: 32 to 1024 are allowed";
    return std::nullopt;
  }
  JwtKey key(Type::oct);
  key.secret_ = secret;
  key.hs256_.emplace(secret);
  return key;
}

std::optional<JwtKey> JwtKey::rsa(std::string_view modulus,
                                  std::string_view exponent, std::string& why) {
  QuietErrors quiet;
  // Before any arithmetic on it; the exact number of bits is checked below.
  if (modulus.size() > kMaxRsaBits / 8 + 1 || exponent.size() > 16) {
    why = "RSA numbers too long: 2048 to 8192 bits are allowed";
    return std::nullopt;
  }
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  Bignum n = bignum(modulus), e = bignum(exponent);
  if (!builder || !n || !e ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) !=
          1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) !=
          1) {
    why = "no RSA key";
    return std::nullopt;
  }
  return from_public_key(from_params("RSA", builder.get()), why);
}

std::optional<JwtKey> JwtKey::ec(Type curve, std::string_view x,
                                 std::string_view y, std::string& why) {
  QuietErrors quiet;
  if (x.size() != coordinate_bytes(curve) || y.size() != x.size()) {
    why = "a coordinate of the wrong length";
    return std::nullopt;
  }
  std::string point = "\x04";
  point.append(x).append(y);
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(
          builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
          curve == Type::p256 ? "prime256v1" : "secp384r1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                       point.data(), point.size()) != 1) {
    why = "no EC key";
    return std::nullopt;
  }
  Pkey key = from_params("EC", builder.get());
  if (!key) {
    why = "the point is not on the curve";
    return std::nullopt;
  }
  return from_public_key(std::move(key), why);
}

std::optional<JwtKey> JwtKey::ed25519(std::string_view x, std::string& why) {
  QuietErrors quiet;
  if (x.size() != 32) {
    why = "an Ed25519 key has 32 bytes";
    return std::nullopt;
  }
  return from_public_key(Pkey(EVP_PKEY_new_raw_public_key(
                             EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size())),
                         why);
}

std::optional<JwtKey> JwtKey::from_public_key(Pkey key, std::string& why) {
  QuietErrors quiet;
  std::optional<Type> type;
  if (!key) {
    why = "not a public key that OpenSSL can read";
  } else if (EVP_PKEY_is_a(key.get(), "RSA")) {
    if (rsa_is_sound(key.get(), why)) type = Type::rsa;
  } else if (EVP_PKEY_is_a(key.get(), "EC")) {
    type = curve_of(key.get(), why);
    if (type && !on_curve(key.get())) {
      why = "the point is not on the curve";
      type.reset();
    }
  } else if (EVP_PKEY_is_a(key.get(), "ED25519")) {
    type = Type::ed25519;
  } else {
    why = "unknown key type: RSA, EC (P-256, P-384) and Ed25519 are allowed";
  }
  if (!type) return std::nullopt;
  JwtKey made(*type);
  made.public_ = std::move(key);
  return made;
}

bool JwtKey::pin(JwtAlg alg, std::string& why) {
  if (!fits(alg)) {
    why = "\"alg\" " + std::string(name(alg)) +
          (type_ == Type::oct && row(alg).name.starts_with("HS")
               ? " needs a secret at least as long as its hash"
               : " does not fit the key's type");
    return false;
  }
  alg_ = alg;
  return true;
}

bool JwtKey::allows(JwtAlg alg) const {
  return alg_ ? *alg_ == alg : fits(alg);
}

bool JwtKey::fits(JwtAlg alg) const {
  switch (alg) {
    case JwtAlg::HS256:
    case JwtAlg::HS384:
    case JwtAlg::HS512:
      return type_ == Type::oct && secret_.size() >= row(alg).digest_bytes;
    case JwtAlg::RS256:
    case JwtAlg::RS384:
    case JwtAlg::RS512:
    case JwtAlg::PS256:
      return type_ == Type::rsa;
    case JwtAlg::ES256:
      return type_ == Type::p256;
    case JwtAlg::ES384:
      return type_ == Type::p384;
    case JwtAlg::EdDSA:
      return type_ == Type::ed25519;
  }
  return false;
}

bool JwtKey::verify(JwtAlg alg, std::string_view message,
                    std::string_view signature) const {
  if (!allows(alg)) return false;
  QuietErrors quiet;
  if (type_ == Type::oct) return verify_mac(alg, message, signature);
  if (type_ == Type::p256 || type_ == Type::p384) {
    auto der = der_signature(signature, coordinate_bytes(type_));
    return der && verify_public(alg, message, *der);
  }
  return verify_public(alg, message, signature);
}

bool JwtKey::verify_mac(JwtAlg alg, std::string_view message,
                        std::string_view signature) const {
  if (signature.size() != row(alg).digest_bytes) return false;
  if (alg == JwtAlg::HS256) {
    Mac mac = (*hs256_)({message});
    return CRYPTO_memcmp(mac.data(), signature.data(), mac.size()) == 0;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  std::size_t length = 0;
  return EVP_Q_mac(nullptr, "HMAC", nullptr, row(alg).digest, nullptr,
                   secret_.data(), secret_.size(), bytes_of(message),
                   message.size(), mac.data(), mac.size(), &length) &&
         length == signature.size() &&
         CRYPTO_memcmp(mac.data(), signature.data(), length) == 0;
}

bool JwtKey::verify_public(JwtAlg alg, std::string_view message,
                           std::string_view signature) const {
  DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  if (!context ||
      EVP_DigestVerifyInit_ex(context.get(), &key_context, row(alg).digest,
                              nullptr, nullptr, public_.get(), nullptr) != 1 ||
      (alg == JwtAlg::PS256 && !use_pss(key_context))) {
    return false;
  }
  return EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(),
                          bytes_of(message), message.size()) == 1;
}

bool JwtKey::same_material(const JwtKey& other) const {
  QuietErrors quiet;
  if (type_ != other.type_) return false;
  if (type_ != Type::oct) {
    return EVP_PKEY_eq(public_.get(), other.public_.get()) == 1;
  }
  return secret_.size() == other.secret_.size() &&
         CRYPTO_memcmp(secret_.data(), other.secret_.data(), secret_.size()) ==
             0;
}

}  // namespace entitle
