// The keys an app signs its JWTs with, read from a JWK Set (RFC 7517 section
// 5), a single JWK, or PEM public keys.
//
// Allowed: RSA of 2048 to 8192 bits, EC on P-256 and P-384, Ed25519 (RFC
// 8037), secrets (`oct`) of 32 to 1024 bytes and at least as long as the hash
// of their `alg`. A private key is refused: it has no business on this host.
// `x5c`, `x5u`, `jku` are never looked at.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/identity/jwt_key.h"

namespace entitle {

// At most 64 keys in which a kid names one key only.
class JwtKeys {
 public:
  // The same key once more is nothing new. False and `why` set: another key
  // already has this kid, or there are too many.
  bool add(JwtKey key, std::string& why);
  // Adds all of `other`'s; those before the refused one stay added.
  bool merge(JwtKeys other, std::string& why);

  std::span<const JwtKey> all() const { return keys_; }
  bool empty() const { return keys_.empty(); }

 private:
  std::vector<JwtKey> keys_;
};

// What a reader of keys has to say. A configuration is refused when
// `refused` has a line; an answer from the network is logged and the rest of
// its keys used, so that a key of a new kind does not lock everybody out.
struct JwtKeyReading {
  JwtKeys keys;
  // One line per key that is weak, malformed, unknown or ambiguous, or for
  // the whole: which key and why, never key material.
  std::vector<std::string> refused;
  // One line per key that is sound but not for verifying (`use`, `key_ops`).
  std::vector<std::string> skipped;
};

// Refuses the whole when it is over 256 KiB, neither JSON nor PEM, or has no
// key that could verify anything. Throws std::runtime_error (no memory).
JwtKeyReading read_jwt_keys(std::string_view content);

}  // namespace entitle
