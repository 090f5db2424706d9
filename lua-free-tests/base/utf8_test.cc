#include "core/base/utf8.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::is_utf8;

namespace {

void append_utf8(std::string& text, std::uint32_t point) {
  auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 63));
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 63));
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  }
}

void every_code_point_but_surrogates_is_accepted(void**) {
  for (std::uint32_t point = 0; point < 0x120000; point++) {
    std::string text;
    append_utf8(text, point);
    bool valid = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
    if (is_utf8(text) != valid) fail_msg("U+%04X", point);
  }
}

void overlong_forms_are_refused(void**) {
  for (std::string text : {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
                           "\xf0\x8f\xbf\xbf", "\xf8\x88\x80\x80\x80"}) {
    assert_false(is_utf8(text));
  }
}

void cut_and_stray_sequences_are_refused(void**) {
  for (std::string text :
       {"\x80", "a\xbf", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(",
        "\xe2\x82(", "\xf0\x9f\x98(", "\xe2(\xac", "\xff", "\xfe"}) {
    assert_false(is_utf8(text));
    assert_false(is_utf8("ok" + text + "ok"));
  }
  const std::string_view euro = "\xe2\x82\xac";
  assert_false(is_utf8(euro.substr(0, 1)));
  assert_false(is_utf8(euro.substr(0, 2)));
  assert_true(is_utf8(euro));
  assert_true(is_utf8(""));
  assert_true(is_utf8("ok\xe2\x82\xac ok"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_code_point_but_surrogates_is_accepted),
      cmocka_unit_test(overlong_forms_are_refused),
      cmocka_unit_test(cut_and_stray_sequences_are_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
