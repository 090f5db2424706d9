#include "core/identity/jwk.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/base64url.h"
#include "core/crypto/quiet_errors.h"
#include "core/json/document.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxContent = 256 * 1024;
constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kMaxKeys = 64;
constexpr std::size_t kMaxKid = 255;

// A kid is whatever its author wrote: made safe for a log.
std::string quoted(std::string_view kid) {
  std::string text = "kid \"";
  for (char c : kid.substr(0, 64)) {
    bool plain = (c == ' ' || is_visible(c)) && c != '"' && c != '\\';
    text += plain ? c : '?';
  }
  return text + '"';
}

// `key 2 (kid "a")`
std::string label(std::size_t number, std::optional<std::string_view> kid) {
  std::string text = "key " + std::to_string(number);
  return kid ? text + " (" + quoted(*kid) + ")" : text;
}

// The bytes of a base64url member. Null and `why` set: absent or malformed.
std::optional<std::string> bytes_of(const json_t* jwk, const char* member,
                                    std::string& why) {
  const json_t* value = json_object_get(jwk, member);
  auto text = string_of(value);
  if (!text || text->empty()) {
    why = std::string("no string \"") + member + "\"";
    return std::nullopt;
  }
  auto bytes = base64url_decode(*text);
  if (!bytes) {
    why = std::string("\"") + member + "\" is not base64url without padding";
  }
  return bytes;
}

bool holds_private_part(const json_t* jwk) {
  for (const char* member : {"d", "p", "q", "dp", "dq", "qi", "oth"}) {
    if (json_object_get(jwk, member)) return true;
  }
  return false;
}

std::optional<JwtKey> rsa_key(const json_t* jwk, std::string& why) {
  auto n = bytes_of(jwk, "n", why);
  auto e = n ? bytes_of(jwk, "e", why) : std::nullopt;
  if (!e) return std::nullopt;
  return JwtKey::rsa(*n, *e, why);
}

std::optional<JwtKey> ec_key(const json_t* jwk, std::string& why) {
  auto curve = string_of(json_object_get(jwk, "crv"));
  if (curve != "P-256" && curve != "P-384") {
    why = "unknown curve: EC has \"crv\" P-256 or P-384";
    return std::nullopt;
  }
  auto x = bytes_of(jwk, "x", why);
  auto y = x ? bytes_of(jwk, "y", why) : std::nullopt;
  if (!y) return std::nullopt;
  return JwtKey::ec(curve == "P-256" ? JwtKey::Type::p256 : JwtKey::Type::p384,
                    *x, *y, why);
}

std::optional<JwtKey> okp_key(const json_t* jwk, std::string& why) {
  if (string_of(json_object_get(jwk, "crv")) != "Ed25519") {
    why = "unknown curve: OKP has \"crv\" Ed25519";
    return std::nullopt;
  }
  auto x = bytes_of(jwk, "x", why);
  if (!x) return std::nullopt;
  return JwtKey::ed25519(*x, why);
}

std::optional<JwtKey> oct_key(const json_t* jwk, std::string& why) {
  auto secret = bytes_of(jwk, "k", why);
  if (!secret) return std::nullopt;
  auto key = JwtKey::oct(*secret, why);
  OPENSSL_cleanse(secret->data(), secret->size());
  return key;
}

std::optional<JwtKey> material(const json_t* jwk, std::string& why) {
  auto type = string_of(json_object_get(jwk, "kty"));
  if (type == "oct") return oct_key(jwk, why);
  if (holds_private_part(jwk)) {
    why = "holds a private key: give its public part only";
    return std::nullopt;
  }
  if (type == "RSA") return rsa_key(jwk, why);
  if (type == "EC") return ec_key(jwk, why);
  if (type == "OKP") return okp_key(jwk, why);
  why = "unknown \"kty\": RSA, EC, OKP and oct are allowed";
  return std::nullopt;
}

// RFC 7517 sections 4.2 and 4.3. `why` set: not a key for verifying, and
// null when the members themselves are malformed.
std::optional<bool> is_for_verifying(const json_t* jwk, std::string& why) {
  if (const json_t* use = json_object_get(jwk, "use")) {
    if (!json_is_string(use)) {
      why = "\"use\" is not a string";
      return std::nullopt;
    }
    if (string_of(use) != "sig") {
      why = "its \"use\" is not sig";
      return false;
    }
  }
  const json_t* operations = json_object_get(jwk, "key_ops");
  if (!operations) return true;
  if (!json_is_array(operations)) {
    why = "\"key_ops\" is not an array";
    return std::nullopt;
  }
  std::size_t i;
  const json_t* operation;
  json_array_foreach(operations, i, operation) {
    if (string_of(operation) == "verify") return true;
  }
  why = "its \"key_ops\" have no verify";
  return false;
}

bool name_and_pin(const json_t* jwk, JwtKey& key, std::string& why) {
  if (const json_t* kid = json_object_get(jwk, "kid")) {
    auto text = string_of(kid);
    if (!text || text->size() > kMaxKid) {
      why = "\"kid\" is not a string of at most 255 bytes";
      return false;
    }
    key.set_kid(*text);
  }
  const json_t* alg = json_object_get(jwk, "alg");
  if (!alg) return true;
  auto known = jwt_alg(string_of(alg).value_or(""));
  if (!known) {
    why = "unknown \"alg\"";
    return false;
  }
  return key.pin(*known, why);
}

void read_jwk(const json_t* jwk, std::size_t number, JwtKeyReading& reading) {
  std::string why;
  std::string what =
      label(number, string_of(json_object_get(jwk, "kid"))) + ": ";
  if (!json_is_object(jwk)) {
    reading.refused.push_back(what + "not an object");
    return;
  }
  auto verifies = is_for_verifying(jwk, why);
  if (verifies == false) {
    reading.skipped.push_back(what + why);
    return;
  }
  auto key = verifies ? material(jwk, why) : std::nullopt;
  if (!key || !name_and_pin(jwk, *key, why) ||
      !reading.keys.add(std::move(*key), why)) {
    reading.refused.push_back(what + why);
  }
}

void read_json(std::string_view content, JwtKeyReading& reading) {
  JsonDocument document = parse_json(content, kMaxDepth);
  if (!document) {
    reading.refused.push_back("not JSON, or a member twice");
    return;
  }
  if (json_object_get(document.get(), "kty")) {
    read_jwk(document.get(), 1, reading);
    return;
  }
  const json_t* keys = json_object_get(document.get(), "keys");
  if (!json_is_array(keys)) {
    reading.refused.push_back("no array \"keys\" and no \"kty\"");
    return;
  }
  std::size_t i;
  const json_t* jwk;
  json_array_foreach(keys, i, jwk) {
    if (i == kMaxKeys) {
      reading.refused.push_back("more than 64 keys");
      return;
    }
    read_jwk(jwk, i + 1, reading);
  }
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

// One block of a PEM file; wiped, since it may turn out to be a private key.
struct PemBlock {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long length = 0;

  PemBlock() = default;
  PemBlock(const PemBlock&) = delete;
  PemBlock& operator=(const PemBlock&) = delete;
  ~PemBlock() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(length));
  }
};

std::optional<JwtKey> pem_key(const PemBlock& block, std::string& why) {
  std::string_view kind = block.name;
  const unsigned char* at = block.data;
  if (kind == "PUBLIC KEY") {
    return JwtKey::from_public_key(Pkey(d2i_PUBKEY(nullptr, &at, block.length)),
                                   why);
  }
  if (kind == "RSA PUBLIC KEY") {
    return JwtKey::from_public_key(
        Pkey(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, block.length)), why);
  }
  if (kind.ends_with("PRIVATE KEY")) {
    why = "a private key: give its public part (openssl pkey -pubout)";
  } else if (kind == "CERTIFICATE") {
    why = "a certificate: give its key (openssl x509 -pubkey -noout)";
  } else {
    why = "not a PUBLIC KEY";
  }
  return std::nullopt;
}

void read_pem(std::string_view content, JwtKeyReading& reading) {
  std::unique_ptr<BIO, FreeBio> bio(
      BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  for (std::size_t number = 1; bio; number++) {
    PemBlock block;
    std::string why;
    if (PEM_read_bio(bio.get(), &block.name, &block.header, &block.data,
                     &block.length) != 1) {
      if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        reading.refused.push_back(label(number, {}) + ": damaged PEM");
      }
      return;
    }
    auto key = pem_key(block, why);
    if (!key || !reading.keys.add(std::move(*key), why)) {
      reading.refused.push_back(label(number, {}) + ": " + why);
    }
  }
}

}  // namespace

bool JwtKeys::add(JwtKey key, std::string& why) {
  for (const JwtKey& known : keys_) {
    bool same = known.same_material(key);
    if (key.kid() && known.kid() == key.kid() && !same) {
      why = "another key has the same \"kid\"";
      return false;
    }
    if (same && known.kid() == key.kid() && known.alg() == key.alg()) {
      return true;
    }
  }
  if (keys_.size() == kMaxKeys) {
    why = "more than 64 keys";
    return false;
  }
  keys_.push_back(std::move(key));
  return true;
}

bool JwtKeys::merge(JwtKeys other, std::string& why) {
  for (JwtKey& key : other.keys_) {
    std::string what = key.kid() ? quoted(*key.kid()) : "a key without kid";
    if (!add(std::move(key), why)) {
      why = what + ": " + why;
      return false;
    }
  }
  return true;
}

JwtKeyReading read_jwt_keys(std::string_view content) {
  JwtKeyReading reading;
  if (content.size() > kMaxContent) {
    reading.refused.push_back("over 256 KiB");
    return reading;
  }
  QuietErrors quiet;
  std::size_t start = content.find_first_not_of(" \t\r\n");
  if (start != content.npos && content[start] == '{') {
    read_json(content, reading);
  } else if (content.find("-----BEGIN ") != content.npos) {
    read_pem(content, reading);
  } else {
    reading.refused.push_back("neither a JWK Set nor PEM");
  }
  if (reading.keys.empty() && reading.refused.empty()) {
    reading.refused.push_back("no key that verifies signatures");
  }
  return reading;
}

}  // namespace entitle
