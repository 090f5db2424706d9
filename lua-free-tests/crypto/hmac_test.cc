#include "core/crypto/hmac.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

using entitle::derive_key;
using entitle::HmacSha256;
using entitle::Mac;

namespace {

std::string hex(const Mac& mac) {
  std::string text;
  for (std::uint8_t byte : mac) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// RFC 4231, test cases 1-4, 6 and 7.
void macs_are_those_of_rfc_4231(void**) {
  struct Case {
    std::string key, data;
    const char* mac;
  };
  std::string key_of_case_4;
  for (char c = 1; c <= 25; c++) key_of_case_4 += c;
  const std::vector<Case> cases = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {key_of_case_4, std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'),
       "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than "
       "block-size data. The key needs to be hashed before being used by the "
       "HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const Case& c : cases) {
    assert_string_equal(hex(HmacSha256(c.key)({c.data})).c_str(), c.mac);
  }
}

// By `openssl dgst -sha256 -mac HMAC -macopt hexkey:...`.
void keys_around_the_block_size_are_right(void**) {
  struct Case {
    std::size_t size;
    const char* mac;
  };
  for (Case c : {
           Case{63,
                "e458f5dd7e8afee6b774e5d451ae43f4d268bf11646030143d0b0231dcb023"
                "83"},
           Case{64,
                "3b7a8d453e76edb519238a515105a57508d0f169f480ebeee120a9e7803289"
                "fa"},
           Case{65,
                "c2d7d4c2256ddb097409ec0c67e1d58fa1a007fc6932cac0d892a525d08af7"
                "cc"},
       }) {
    assert_string_equal(
        hex(HmacSha256(std::string(c.size, 'k'))({"m"})).c_str(), c.mac);
  }
}

void parts_are_concatenated(void**) {
  HmacSha256 hmac("key");
  assert_true(hmac({"ab", "", "c"}) == hmac({"abc"}));
  assert_true(hmac({std::string_view("a\0b", 3)}) != hmac({"a"}));
  assert_true(hmac({}) == hmac({""}));
  assert_true(hmac({std::string_view()}) == hmac({""}));
}

void a_keyed_value_can_be_used_again_and_moved(void**) {
  HmacSha256 first("key");
  Mac expected = first({"one"});
  first({"two"});
  assert_true(first({"one"}) == expected);
  const HmacSha256 second = std::move(first);
  assert_true(second({"one"}) == expected);
}

void macs_that_differ_in_any_bit_are_not_equal(void**) {
  Mac a = HmacSha256("key")({"x"});
  Mac b = a;
  assert_true(entitle::equal_constant_time(a, b));
  for (std::size_t i = 0; i < b.size(); i++) {
    for (int bit = 0; bit < 8; bit++) {
      b[i] ^= static_cast<std::uint8_t>(1 << bit);
      assert_false(entitle::equal_constant_time(a, b));
      b[i] = a[i];
    }
  }
}

// RFC 5869, test case 3 (no salt), with the info changed where it has one:
// `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:... HKDF`.
void derived_keys_are_those_of_rfc_5869(void**) {
  std::string key(22, '\x0b');
  assert_string_equal(
      hex(derive_key(key, "")).c_str(),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
  assert_string_equal(
      hex(derive_key(key, "entitle session v1")).c_str(),
      "944d8a27106d2cf815fe9c8c3358757113edfd2e5332224687c4800314d9e24d");
}

void keys_for_different_uses_differ(void**) {
  assert_true(derive_key("k", "a") != derive_key("k", "b"));
  assert_true(derive_key("k", "a") != derive_key("l", "a"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(macs_are_those_of_rfc_4231),
      cmocka_unit_test(keys_around_the_block_size_are_right),
      cmocka_unit_test(parts_are_concatenated),
      cmocka_unit_test(a_keyed_value_can_be_used_again_and_moved),
      cmocka_unit_test(macs_that_differ_in_any_bit_are_not_equal),
      cmocka_unit_test(derived_keys_are_those_of_rfc_5869),
      cmocka_unit_test(keys_for_different_uses_differ),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
