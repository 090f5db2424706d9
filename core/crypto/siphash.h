// SipHash-2-4: a keyed hash for tables whose keys strangers choose (cached
// users, single-flight keys). Without the key nobody can make keys collide.
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012);
// test vectors of the reference implementation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace entitle {

struct SipKey {
  std::uint64_t k0 = 0, k1 = 0;
  static SipKey from(const std::array<std::uint8_t, 16>& bytes);
};

struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

// Several values as one: each is preceded by its length, so that ("ab", "c")
// and ("a", "bc") differ. 128 bits, for keys that stand for what they hash: no
// comparison of the values themselves has to follow.
class SipHasher {
 public:
  explicit SipHasher(const SipKey& key);
  void add(std::string_view value);
  Hash128 finish() const;  // may be asked at any moment

  // The bytes alone, without a length: SipHash-2-4-128 as its authors have it.
  void add_bytes(std::string_view bytes);

 private:
  void compress(std::uint64_t word);

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t tail_ = 0;  // bytes not yet compressed, little-endian
  std::size_t length_ = 0;  // of everything added
};

}  // namespace entitle
