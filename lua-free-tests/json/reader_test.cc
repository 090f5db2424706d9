#include "core/json/reader.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <optional>
#include <string>

using namespace entitle;

namespace {

std::optional<std::string> string_of(std::string_view json) {
  JsonReader in(json);
  std::string text;
  in.string(text);
  if (!in.finish()) return std::nullopt;
  return text;
}

std::optional<std::string> value_of(std::string_view json) {
  JsonReader in(json);
  std::string text;
  in.value(text);
  if (!in.finish()) return std::nullopt;
  return text;
}

void every_escape_is_read(void**) {
  const std::pair<const char*, std::string> cases[] = {
      {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
      {R"("\u0041\u00e9\u20AC\uffff")", "A\u00e9\u20ac\uffff"},
      {R"("\ud83d\uDE00")", "\U0001f600"},
      {R"("\u0000x")", std::string("\0x", 2)},
      {R"("\u007f\u0080\u07ff\u0800")", "\u007f\u0080\u07ff\u0800"},
      {R"("\udbff\udfff")", "\U0010ffff"},
  };
  for (const auto& [json, expected] : cases) {
    std::optional<std::string> text = string_of(json);
    if (!text || *text != expected) fail_msg("%s", json);
  }
}

void what_is_no_text_is_refused(void**) {
  for (const char* json :
       {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\n")",
        R"("\ud83d\u0041")", R"("\ud83d\ud83d")", R"("\u12")", R"("\u12g4")",
        R"("\x41")", R"("\)", "\"a\nb\"", "\"", ""}) {
    if (string_of(json)) fail_msg("read %s", json);
  }
}

void any_value_is_read_in_one_form(void**) {
  const std::pair<const char*, const char*> cases[] = {
      {" { \"b\" : 1 , \"a\" : [ ] } ", R"({"a":[],"b":1})"},
      {R"({"a":1,"a":2})", R"({"a":2})"},
      {R"([ true , false , null , { } , "\u00e9\u000a" ])",
       "[true,false,null,{},\"\u00e9\\u000a\"]"},
      {"-0", "-0"},
      {"1.50e+07", "1.50e+07"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"0", "0"},
      {R"("")", R"("")"},
  };
  for (const auto& [json, expected] : cases) {
    std::optional<std::string> value = value_of(json);
    if (!value || *value != expected) {
      fail_msg("%s is %s", json, value ? value->c_str() : "not read");
    }
    assert_true(value_of(*value) == value);
  }
}

void what_is_no_json_is_refused(void**) {
  for (const char* json :
       {"",        " ",        "{",          "[",     "]",   "{]",    "[1,]",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01",  "1.",    ".5",
        "-",       "+1",       "1e",         "1e+",   "nul", "tru e", "\"a",
        "[1 2]",   "1 2",      "NaN",        "'a'"}) {
    if (value_of(json)) fail_msg("read %s", json);
  }
  assert_false(
      value_of(std::string(1000, '[') + std::string(1000, ']')).has_value());
  assert_true(
      value_of(std::string(60, '[') + std::string(60, ']')).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_escape_is_read),
      cmocka_unit_test(what_is_no_text_is_refused),
      cmocka_unit_test(any_value_is_read_in_one_form),
      cmocka_unit_test(what_is_no_json_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
