#include "core/identity/jwt_cache.h"

#include <openssl/crypto.h>

#include <functional>

namespace entitle {
namespace {

// A list node, a hash node and a bucket, with the allocator's own share.
constexpr std::size_t kBookkeeping = 160;

}  // namespace

std::size_t JwtCache::Hash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(key.token) ^
         (key.rules * 0x9e3779b97f4a7c15);
}

// In constant time for tokens of one length: a token is a secret.
bool JwtCache::Equal::operator()(const Key& a, const Key& b) const {
  return a.rules == b.rules && a.token.size() == b.token.size() &&
         CRYPTO_memcmp(a.token.data(), b.token.data(), a.token.size()) == 0;
}

std::size_t JwtCache::cost(std::string_view token, const JwtClaims& claims) {
  return sizeof(Entry) + kBookkeeping + token.size() + claims.user.str().size();
}

void JwtCache::drop(Entries::iterator entry) {
  bytes_ -= cost(entry->token, entry->claims);
  by_token_.erase(Key{entry->scope.rules, entry->token});
  entries_.erase(entry);
}

const JwtClaims* JwtCache::find(JwtScope scope, std::string_view token,
                                UnixTime now) {
  auto found = by_token_.find(Key{scope.rules, token});
  if (found == by_token_.end()) return nullptr;
  Entries::iterator entry = found->second;
  if (entry->scope != scope || now >= entry->claims.usable_until) {
    drop(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return &entry->claims;
}

void JwtCache::put(JwtScope scope, std::string_view token,
                   const JwtClaims& claims) {
  auto found = by_token_.find(Key{scope.rules, token});
  if (found != by_token_.end()) drop(found->second);

  std::size_t needed = cost(token, claims);
  if (needed > max_bytes_) return;
  while (bytes_ + needed > max_bytes_) drop(std::prev(entries_.end()));

  entries_.push_front(Entry{scope, std::string(token), claims});
  try {
    by_token_.emplace(Key{scope.rules, entries_.front().token},
                      entries_.begin());
  } catch (...) {
    entries_.pop_front();
    throw;
  }
  bytes_ += needed;
}

}  // namespace entitle
