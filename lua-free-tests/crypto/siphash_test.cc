#include "core/crypto/siphash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Hash128;
using entitle::SipHasher;
using entitle::SipKey;

constexpr std::array<std::uint8_t, 16> kKeyBytes = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// 0x00 0x01 0x02 ..., as in the reference's vectors.
std::string counting(std::size_t length) {
  std::string bytes(length, '\0');
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

std::array<std::uint64_t, 2> openssl(std::string_view bytes) {
  std::size_t size = 16;
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
      OSSL_PARAM_construct_end()};
  assert_int_equal(
      EVP_MAC_init(context, kKeyBytes.data(), kKeyBytes.size(), parameters), 1);
  assert_int_equal(
      EVP_MAC_update(context,
                     reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size()),
      1);
  unsigned char out[16] = {};
  std::size_t written = 0;
  assert_int_equal(EVP_MAC_final(context, out, &written, sizeof(out)), 1);
  assert_int_equal(written, size);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);

  std::array<std::uint64_t, 2> words = {};
  for (std::size_t i = 0; i < sizeof(out); ++i) {
    words[i / 8] |= static_cast<std::uint64_t>(out[i]) << (8 * (i % 8));
  }
  return words;
}

void every_length_agrees_with_openssl(void**) {
  SipKey key = SipKey::from(kKeyBytes);
  for (std::size_t length = 0; length <= 300; ++length) {
    std::string bytes = counting(length);
    SipHasher hasher(key);
    hasher.add_bytes(bytes);
    auto words = openssl(bytes);
    assert_true(hasher.finish() == (Hash128{words[0], words[1]}));
  }
}

void pieces_add_up_to_the_whole(void**) {
  SipKey key = SipKey::from(kKeyBytes);
  std::string bytes = counting(29);
  SipHasher whole(key);
  whole.add_bytes(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    SipHasher pieces(key);
    pieces.add_bytes(std::string_view(bytes).substr(0, cut));
    pieces.add_bytes(std::string_view(bytes).substr(cut));
    assert_true(pieces.finish() == whole.finish());
  }
}

void where_one_value_ends_matters(void**) {
  SipKey key = SipKey::from(kKeyBytes);
  SipHasher left(key), right(key), one(key);
  left.add("ab");
  left.add("c");
  right.add("a");
  right.add("bc");
  one.add("abc");
  assert_false(left.finish() == right.finish());
  assert_false(left.finish() == one.finish());

  SipHasher nothing(key), empty(key);
  empty.add("");
  assert_false(nothing.finish() == empty.finish());
}

void another_key_is_another_hash(void**) {
  SipKey key = SipKey::from(kKeyBytes);
  SipKey other = key;
  other.k1 ^= 1;
  SipHasher by_key(key), by_other(other);
  by_key.add("user");
  by_other.add("user");
  assert_false(by_key.finish() == by_other.finish());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_length_agrees_with_openssl),
      cmocka_unit_test(pieces_add_up_to_the_whole),
      cmocka_unit_test(where_one_value_ends_matters),
      cmocka_unit_test(another_key_is_another_hash),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
