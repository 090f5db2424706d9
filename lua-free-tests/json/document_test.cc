#include "core/json/document.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::count_of;
using entitle::JsonDocument;
using entitle::parse_json;
using entitle::string_of;
using entitle::text_of;

namespace {

bool parses(std::string_view text, std::size_t depth = 8) {
  return parse_json(text, depth) != nullptr;
}

std::string text(const char* json) {
  return text_of(parse_json(json, 8).get()).value_or("(none)");
}

std::int64_t count(const char* json) {
  return count_of(parse_json(json, 8).get()).value_or(-1);
}

void one_value_and_nothing_after_it(void**) {
  assert_true(parses("{}"));
  assert_true(parses(" \"a\" "));
  for (const char* bad :
       {"", " ", "{}{}", "{} x", "{", "[1,]", "{\"a\":1,}", "nul", "{a:1}",
        "'a'", "\"\\u0000\"", "\"\\ud800\"", "\"\xff\"", "\"\xc0\xaf\"",
        "99999999999999999999", "1e999", "01", "NaN", "\xef\xbb\xbf{}"}) {
    assert_false(parses(bad));
  }
  assert_false(parses(std::string_view("{}\0", 3)));
}

void a_member_twice_is_refused_at_any_depth_and_spelling(void**) {
  assert_false(parses(R"({"a":1,"a":1})"));
  assert_false(parses(R"({"a":1,"\u0061":2})"));
  assert_false(parses(R"({"x":[{"a":{"b":1,"b":2}}]})"));
  assert_true(parses(R"({"a":1,"A":2,"b":{"a":3}})"));
}

void depth_is_bounded_exactly_and_strings_do_not_count(void**) {
  assert_true(parses("[[[1]]]", 3));
  assert_false(parses("[[[1]]]", 2));
  assert_true(parses("[[],[],{},{}]", 2));
  assert_true(parses(R"(["[[[[{{{{", "\"[[[[", "\\"])", 1));
  assert_false(parses(std::string(100000, '[')));
  assert_false(parses(std::string(100000, ']')));
}

void whole_numbers_and_strings_become_text(void**) {
  assert_string_equal(text("\"a b\"").c_str(), "a b");
  assert_string_equal(text("42").c_str(), "42");
  assert_string_equal(text("-7").c_str(), "-7");
  assert_string_equal(text("42.0").c_str(), "42");
  assert_string_equal(text("1e3").c_str(), "1000");
  assert_string_equal(text("9223372036854775807").c_str(),
                      "9223372036854775807");
  for (const char* none : {"true", "null", "{}", "[]", "1.5", "1e300"}) {
    assert_string_equal(text(none).c_str(), "(none)");
  }
  assert_false(text_of(nullptr).has_value());
}

void counts_are_numbers_or_their_decimal_text(void**) {
  assert_int_equal(count("0"), 0);
  assert_int_equal(count("1767225600123"), 1767225600123);
  assert_int_equal(count("1767225600123.0"), 1767225600123);
  assert_int_equal(count("\"1767225600123\""), 1767225600123);
  for (const char* none :
       {"-1", "\"-1\"", "1.5", "\"1.5\"", "\"01\"", "\"+1\"", "\" 1\"", "\"\"",
        "\"1x\"", "\"99999999999999999999\"", "true", "null", "[1]"}) {
    assert_int_equal(count(none), -1);
  }
  assert_false(count_of(nullptr).has_value());
}

void strings_are_viewed_whole(void**) {
  JsonDocument document = parse_json(R"("\u00e9\"")", 8);
  assert_true(string_of(document.get()) == "\xc3\xa9\"");
  assert_false(string_of(nullptr).has_value());
  assert_false(string_of(parse_json("1", 1).get()).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_value_and_nothing_after_it),
      cmocka_unit_test(a_member_twice_is_refused_at_any_depth_and_spelling),
      cmocka_unit_test(depth_is_bounded_exactly_and_strings_do_not_count),
      cmocka_unit_test(whole_numbers_and_strings_become_text),
      cmocka_unit_test(counts_are_numbers_or_their_decimal_text),
      cmocka_unit_test(strings_are_viewed_whole),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
