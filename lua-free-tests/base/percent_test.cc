#include "core/base/percent.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::percent_decode;
using entitle::percent_encode;

namespace {

void ids_as_stripe_makes_them_stay_readable(void**) {
  for (std::string id : {"cus_1", "acct_1/cus_2", "me@example.com", "a b,c"}) {
    assert_true(percent_encode(id) == id);
  }
}

void braces_percent_and_unprintable_bytes_are_encoded(void**) {
  assert_true(percent_encode("{u}%") == "%7Bu%7D%25");
  assert_true(percent_encode("Zo\xc3\xab\n\x7f") == "Zo%C3%AB%0A%7F");
  assert_true(percent_encode(std::string("\0", 1)) == "%00");
  for (int byte = 0; byte < 256; byte++) {
    std::string encoded =
        percent_encode(std::string(1, static_cast<char>(byte)));
    bool plain = byte >= 0x20 && byte <= 0x7e && byte != '{' && byte != '}' &&
                 byte != '%';
    assert_int_equal(encoded.size(), plain ? 1 : 3);
  }
}

void decoding_gives_the_bytes_back(void**) {
  std::string all;
  for (int byte = 0; byte < 256; byte++) all += static_cast<char>(byte);
  assert_true(percent_decode(percent_encode(all)) == all);
  assert_true(percent_decode("%c3%AB") == "\xc3\xab");
  assert_true(percent_decode("%2541") == "%41");
}

void a_broken_escape_is_refused(void**) {
  for (std::string text : {"%", "a%", "%4", "%4g", "%g4", "%%41", "% 41"}) {
    if (percent_decode(text)) fail_msg("accepted: %s", text.c_str());
  }
  assert_false(
      percent_decode(std::string_view("%41").substr(0, 2)).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(ids_as_stripe_makes_them_stay_readable),
      cmocka_unit_test(braces_percent_and_unprintable_bytes_are_encoded),
      cmocka_unit_test(decoding_gives_the_bytes_back),
      cmocka_unit_test(a_broken_escape_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
