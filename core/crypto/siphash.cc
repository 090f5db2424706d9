#include "core/crypto/siphash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace entitle {
namespace {

// At most eight bytes.
std::uint64_t load_le(const char* bytes, std::size_t count) {
  std::uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    if (count == 8) {
      std::memcpy(&word, bytes, 8);
      return word;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i]))
            << (8 * i);
  }
  return word;
}

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void compress(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  std::uint64_t finish(std::uint8_t mark) {
    v2 ^= mark;
    return more(4);
  }
  std::uint64_t more(int rounds) {
    for (int i = 0; i < rounds; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

State start(const SipKey& key) {
  return {key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
          key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
}

}  // namespace

SipKey SipKey::from(const std::array<std::uint8_t, 16>& bytes) {
  const char* data = reinterpret_cast<const char*>(bytes.data());
  return {load_le(data, 8), load_le(data + 8, 8)};
}

SipHasher::SipHasher(const SipKey& key) {
  State state = start(key);
  v0_ = state.v0;
  v1_ = state.v1 ^ 0xee;  // what sets 128 bits apart from 64
  v2_ = state.v2;
  v3_ = state.v3;
}

void SipHasher::compress(std::uint64_t word) {
  State state{v0_, v1_, v2_, v3_};
  state.compress(word);
  v0_ = state.v0;
  v1_ = state.v1;
  v2_ = state.v2;
  v3_ = state.v3;
}

void SipHasher::add_bytes(std::string_view bytes) {
  std::size_t at = length_ % 8;
  length_ += bytes.size();
  if (at != 0) {
    std::size_t fits = std::min(8 - at, bytes.size());
    tail_ |= load_le(bytes.data(), fits) << (8 * at);
    if (at + fits < 8) return;
    compress(tail_);
    bytes.remove_prefix(fits);
  }
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    compress(load_le(bytes.data(), 8));
  }
  tail_ = load_le(bytes.data(), bytes.size());
}

void SipHasher::add(std::string_view value) {
  const std::uint64_t size = value.size();
  const std::size_t bits = 8 * (length_ % 8);
  compress(tail_ | size << bits);
  tail_ = bits == 0 ? 0 : size >> (64 - bits);
  length_ += sizeof(size);
  add_bytes(value);
}

Hash128 SipHasher::finish() const {
  State state{v0_, v1_, v2_, v3_};
  state.compress(tail_ | static_cast<std::uint64_t>(length_) << 56);
  Hash128 hash;
  hash.low = state.finish(0xee);
  state.v1 ^= 0xdd;
  hash.high = state.more(4);
  return hash;
}

}  // namespace entitle
