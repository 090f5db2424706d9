#include "core/base/base64url.h"

#include <array>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::base64_decode_any;
using entitle::base64url_decode;
using entitle::base64url_encode;

namespace {

// RFC 4648 section 10, without its padding.
void the_rfcs_examples_encode_and_decode(void**) {
  struct Case {
    std::string bytes, text;
  };
  for (const Case& c :
       {Case{"", ""}, Case{"f", "Zg"}, Case{"fo", "Zm8"}, Case{"foo", "Zm9v"},
        Case{"foob", "Zm9vYg"}, Case{"fooba", "Zm9vYmE"},
        Case{"foobar", "Zm9vYmFy"}, Case{"\xfb\xff\xfe", "-__-"}}) {
    assert_true(base64url_encode(c.bytes) == c.text);
    assert_true(base64url_decode(c.text) == c.bytes);
    assert_int_equal(entitle::base64url_length(c.bytes.size()), c.text.size());
  }
}

void every_length_and_byte_survives(void**) {
  std::string bytes;
  for (int i = 0; i < 300; i++) {
    bytes += static_cast<char>(i * 7);
    assert_true(base64url_decode(base64url_encode(bytes)) == bytes);
  }
}

// Of all texts of two to four characters that decode at all, each is what
// encoding gives back: no two texts mean the same bytes.
void only_the_canonical_form_decodes(void**) {
  for (int last = 0; last < 256; last++) {
    for (std::string text : {"A", "AB", "ABC"}) {
      text += static_cast<char>(last);
      auto bytes = base64url_decode(text);
      if (bytes) assert_true(base64url_encode(*bytes) == text);
    }
  }
  for (std::string text : {"A", "AAAAA", "Zg==", "Zg=", "Zh", "Zm9",
                           "Zm8=", "+/+/", "Zm9v\n", " Zm9v", "Zm.v"}) {
    if (base64url_decode(text)) fail_msg("accepted: %s", text.c_str());
  }
  for (std::size_t at = 0; at < 4; at++) {
    std::string text = "ABCD";
    text[at] = '*';
    assert_false(base64url_decode(text).has_value());
  }
}

void decoding_never_writes_beyond_what_is_given(void**) {
  std::array<char, 3> out = {'x', 'x', 'x'};
  assert_false(base64url_decode("AAAA", std::span(out).first(2)).has_value());
  assert_int_equal(out[0], 'x');
  assert_true(base64url_decode("AAAA", std::span<char>(out)) == 3);
}

void files_may_use_either_alphabet_and_padding(void**) {
  for (std::string text : {"-__-", "+//+", "+__+"}) {
    assert_true(base64_decode_any(text) == "\xfb\xff\xfe");
  }
  for (std::string text : {"Zg", "Zg=="}) {
    assert_true(base64_decode_any(text) == "f");
  }
  assert_true(base64_decode_any("Zm8=") == "fo");
  for (std::string text :
       {"Zg=", "Zg===", "=", "Zm9v=", "Zm 9", "Z=g=", "===="}) {
    if (base64_decode_any(text)) fail_msg("accepted: %s", text.c_str());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_rfcs_examples_encode_and_decode),
      cmocka_unit_test(every_length_and_byte_survives),
      cmocka_unit_test(only_the_canonical_form_decodes),
      cmocka_unit_test(decoding_never_writes_beyond_what_is_given),
      cmocka_unit_test(files_may_use_either_alphabet_and_padding),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
