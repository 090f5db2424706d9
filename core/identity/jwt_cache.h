// JWTs that were verified, remembered by their full text: one verification of
// a public-key signature costs as much as fifty requests.
//
// One per worker. Bounded by bytes; the least recently used go first. A find
// costs no allocation. Only verified tokens are stored, so nobody without a
// key decides what is hashed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/types.h"
#include "core/identity/jwt.h"

namespace entitle {

// Under what a token was verified. A token that is good at one location says
// nothing about another with its own issuer, audience, claims or keys, nor
// about the same one after its keys changed.
struct JwtScope {
  std::uint64_t rules = 0;       // a number per distinct rules and key source
  std::uint64_t generation = 0;  // of the keys: another at every change
  bool operator==(const JwtScope&) const = default;
};

class JwtCache {
 public:
  // Counts tokens and claims with their bookkeeping. 0: remembers nothing.
  explicit JwtCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}
  JwtCache(const JwtCache&) = delete;
  JwtCache& operator=(const JwtCache&) = delete;

  // Null: not known, no longer usable at `now`, or verified with keys of
  // another generation (the entry is dropped then). Valid until the next call
  // that is not const.
  const JwtClaims* find(JwtScope scope, std::string_view token, UnixTime now);

  // Replaces what was known of this token under these rules. A token too big
  // for the whole cache is not remembered.
  void put(JwtScope scope, std::string_view token, const JwtClaims& claims);

  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    JwtScope scope;
    std::string token;
    JwtClaims claims;
  };
  struct Key {  // views an entry's token, or the caller's
    std::uint64_t rules;
    std::string_view token;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  struct Equal {
    bool operator()(const Key& a, const Key& b) const;
  };
  using Entries = std::list<Entry>;  // most recently used first

  static std::size_t cost(std::string_view token, const JwtClaims& claims);
  void drop(Entries::iterator entry);

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<Key, Entries::iterator, Hash, Equal> by_token_;
};

}  // namespace entitle
