#define OPENSSL_SUPPRESS_DEPRECATED  // see core/crypto/hmac.h

#include "core/crypto/hmac.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <string>

namespace entitle {
namespace {

constexpr std::size_t kBlockBytes = 64;  // of SHA-256
using Block = std::array<std::uint8_t, kBlockBytes>;

void start(SHA256_CTX& state, const Block& key, std::uint8_t pad) {
  Block padded = key;
  for (std::uint8_t& byte : padded) byte ^= pad;
  SHA256_Init(&state);
  SHA256_Update(&state, padded.data(), padded.size());
  OPENSSL_cleanse(padded.data(), padded.size());
}

}  // namespace

HmacSha256::HmacSha256(std::string_view key) {
  Block block{};
  if (key.size() <= block.size()) {
    std::copy(key.begin(), key.end(), block.begin());
  } else {
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(),
           block.data());
  }
  start(inner_, block, 0x36);
  start(outer_, block, 0x5c);
  OPENSSL_cleanse(block.data(), block.size());
}

HmacSha256::~HmacSha256() {
  OPENSSL_cleanse(&inner_, sizeof(inner_));
  OPENSSL_cleanse(&outer_, sizeof(outer_));
}

Mac HmacSha256::operator()(std::span<const std::string_view> parts) const {
  SHA256_CTX state = inner_;
  for (std::string_view part : parts) {
    SHA256_Update(&state, part.data(), part.size());
  }
  Mac mac;
  SHA256_Final(mac.data(), &state);  // which leaves nothing of the key
  state = outer_;
  SHA256_Update(&state, mac.data(), mac.size());
  SHA256_Final(mac.data(), &state);
  return mac;
}

bool equal_constant_time(const Mac& a, const Mac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Mac derive_key(std::string_view key, std::string_view use) {
  // 32 bytes are one block of HKDF-Expand: T(1) = HMAC(PRK, info | 0x01).
  constexpr std::string_view first_block("\x01", 1);
  const std::string no_salt(sizeof(Mac), '\0');
  Mac prk = HmacSha256(no_salt)({key});
  Mac derived =
      HmacSha256(std::string_view(reinterpret_cast<const char*>(prk.data()),
                                  prk.size()))({use, first_block});
  OPENSSL_cleanse(prk.data(), prk.size());
  return derived;
}

}  // namespace entitle
