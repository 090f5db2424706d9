#include "core/json/writer.h"

#include <jansson.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/json/reader.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::json::Writer;

void commas_stand_between_and_nowhere_else(void**) {
  std::string out;
  Writer json(out);
  json.begin_object();
  json.key("none").begin_array().end_array();
  json.key("empty").begin_object().end_object();
  json.key("nested").begin_array();
  json.begin_object().number("a", 1).boolean("b", false).end_object();
  json.begin_array().null().number(INT64_MIN).end_array();
  json.end_array();
  json.key("last").null();
  json.end_object();
  assert_string_equal(out.c_str(),
                      R"({"none":[],"empty":{},"nested":[{"a":1,"b":false},)"
                      R"([null,-9223372036854775808]],"last":null})");
}

void what_was_there_stays(void**) {
  std::string out = "data: ";
  Writer(out).begin_object().text("a", "b").end_object();
  assert_string_equal(out.c_str(), R"(data: {"a":"b"})");
}

void strings_are_written_as_they_are_seen(void**) {
  std::string out;
  Writer(out).strings(std::set<std::string>{"b", "a"});
  assert_string_equal(out.c_str(), R"(["a","b"])");
  out.clear();
  Writer(out).strings(std::vector<int>{2, 1},
                      [](int n) { return std::string(n, 'x'); });
  assert_string_equal(out.c_str(), R"(["xx","x"])");
}

// Every ASCII byte but NUL, and UTF-8 of each length, in key and value.
void jansson_reads_what_is_written(void**) {
  std::string text = "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
  for (char c = 1; c > 0; c++) {
    text += c;
    if (c == 0x7f) break;
  }
  std::string out;
  Writer(out).begin_object().text(text, text).end_object();
  json_t* read = json_loadb(out.data(), out.size(), 0, nullptr);
  assert_non_null(read);
  json_t* value = json_object_get(read, text.c_str());
  assert_non_null(value);
  assert_true(std::string(json_string_value(value)) == text);
  json_decref(read);
}

// Text is looked at eight bytes at a time: each byte at each place of such
// words, among bytes of both halves, is written for jansson and for us alike.
void every_byte_is_written_wherever_it_stands(void**) {
  for (const char* around : {"a", "\xc3\xa9"}) {
    for (std::size_t length = 0; length < 20; ++length) {
      for (int byte = 1; byte < 0x80; ++byte) {
        std::string text;
        for (std::size_t n = 0; n < length; ++n) text += around;
        text += static_cast<char>(byte);
        text += around;
        std::string out;
        Writer(out).begin_array().string(text).end_array();
        json_t* read = json_loadb(out.data(), out.size(), 0, nullptr);
        assert_non_null(read);
        assert_string_equal(json_string_value(json_array_get(read, 0)),
                            text.c_str());
        json_decref(read);
        std::string ours;
        entitle::JsonReader in(out);
        in.array([&] { in.string(ours); });
        assert_true(in.finish());
        assert_string_equal(ours.c_str(), text.c_str());
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(commas_stand_between_and_nowhere_else),
      cmocka_unit_test(what_was_there_stays),
      cmocka_unit_test(strings_are_written_as_they_are_seen),
      cmocka_unit_test(jansson_reads_what_is_written),
      cmocka_unit_test(every_byte_is_written_wherever_it_stands),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
