#include "core/hmac.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace entitle {
namespace {

constexpr std::size_t kBlockBytes = 64;  // of SHA-256
using Block = std::array<std::uint8_t, kBlockBytes>;

void require(bool ok) {
  if (!ok) throw std::runtime_error("SHA-256 is not available");
}

void start(EVP_MD_CTX* state, const Block& key, std::uint8_t pad) {
  Block padded = key;
  for (std::uint8_t& byte : padded) byte ^= pad;
  bool ok = EVP_DigestInit_ex(state, EVP_sha256(), nullptr) == 1 &&
            EVP_DigestUpdate(state, padded.data(), padded.size()) == 1;
  OPENSSL_cleanse(padded.data(), padded.size());
  require(ok);
}

}  // namespace

HmacSha256::HmacSha256(std::string_view key)
    : inner_(EVP_MD_CTX_new()), outer_(EVP_MD_CTX_new()) {
  require(inner_ && outer_);
  Block block{};
  if (key.size() <= block.size()) {
    std::copy(key.begin(), key.end(), block.begin());
  } else {
    require(EVP_Digest(key.data(), key.size(), block.data(), nullptr,
                       EVP_sha256(), nullptr) == 1);
  }
  start(inner_.get(), block, 0x36);
  start(outer_.get(), block, 0x5c);
  OPENSSL_cleanse(block.data(), block.size());
}

Mac HmacSha256::operator()(std::span<const std::string_view> parts) const {
  State state(EVP_MD_CTX_new());
  require(state && EVP_MD_CTX_copy_ex(state.get(), inner_.get()) == 1);
  for (std::string_view part : parts) {
    require(EVP_DigestUpdate(state.get(), part.data(), part.size()) == 1);
  }
  Mac mac;
  require(EVP_DigestFinal_ex(state.get(), mac.data(), nullptr) == 1 &&
          EVP_MD_CTX_copy_ex(state.get(), outer_.get()) == 1 &&
          EVP_DigestUpdate(state.get(), mac.data(), mac.size()) == 1 &&
          EVP_DigestFinal_ex(state.get(), mac.data(), nullptr) == 1);
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
