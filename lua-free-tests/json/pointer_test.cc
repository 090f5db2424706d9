#include "core/json/pointer.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/json/document.h"

extern "C" {
#include <cmocka.h>
}

using entitle::JsonDocument;
using entitle::JsonPointer;
using entitle::parse_json;

namespace {

// The value as compact JSON, "(nothing)" or "(no pointer)".
std::string at(std::string_view pointer, const JsonDocument& document) {
  std::string error;
  auto parsed = JsonPointer::parse(pointer, error);
  if (!parsed) {
    assert_true(!error.empty());
    return "(no pointer)";
  }
  const json_t* value = parsed->find(document.get());
  if (!value) return "(nothing)";
  char* text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  std::string copy = text;
  free(text);
  return copy;
}

void expect(std::string_view pointer, const JsonDocument& document,
            const char* value) {
  assert_string_equal(at(pointer, document).c_str(), value);
}

// RFC 6901 section 5, the document and every row.
void the_examples_of_the_rfc_hold(void**) {
  JsonDocument document =
      parse_json(R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,)"
                 R"("i\\j":5,"k\"l":6," ":7,"m~n":8})",
                 8);
  expect("/foo", document, R"(["bar","baz"])");
  expect("/foo/0", document, R"("bar")");
  expect("/", document, "0");
  expect("/a~1b", document, "1");
  expect("/c%d", document, "2");
  expect("/e^f", document, "3");
  expect("/g|h", document, "4");
  expect("/i\\j", document, "5");
  expect("/k\"l", document, "6");
  expect("/ ", document, "7");
  expect("/m~0n", document, "8");
  assert_true(at("", document).starts_with(R"({"foo":)"));
}

void escapes_are_undone_in_one_pass(void**) {
  JsonDocument document = parse_json(R"({"~1":1,"/":2})", 8);
  expect("/~01", document, "1");
  expect("/~1", document, "2");
}

void an_array_index_has_one_spelling(void**) {
  JsonDocument document = parse_json(R"({"a":[10,11]})", 8);
  expect("/a/1", document, "11");
  for (const char* none :
       {"/a/01", "/a/00", "/a/-", "/a/-1", "/a/+1", "/a/1 ", "/a/", "/a/2",
        "/a/1e0", "/a/x", "/a/99999999999999999999999999"}) {
    expect(none, document, "(nothing)");
  }
}

void members_of_objects_are_never_indices(void**) {
  JsonDocument document = parse_json(R"({"0":"zero","-":"dash"})", 8);
  expect("/0", document, R"("zero")");
  expect("/-", document, R"("dash")");
}

void nothing_is_found_below_a_scalar_or_in_nothing(void**) {
  JsonDocument document = parse_json(R"({"a":"b","n":null})", 8);
  expect("/a/b", document, "(nothing)");
  expect("/a/0", document, "(nothing)");
  expect("/n", document, "null");
  expect("/n/x", document, "(nothing)");
  expect("/x/y/z", document, "(nothing)");
  expect("/a", nullptr, "(nothing)");
}

void malformed_pointers_are_refused_with_what_is_allowed(void**) {
  std::string many;
  for (int i = 0; i < 33; i++) many += "/a";
  const std::string nul("/a\0b", 4);
  for (const std::string& bad :
       {std::string("a"), std::string("a/b"), std::string("#/a"),
        std::string("/~"), std::string("/a~"), std::string("/~2"),
        std::string("/a~/b"), many, '/' + std::string(1024, 'a'), nul}) {
    expect(bad, nullptr, "(no pointer)");
  }
}

void bounds_are_inclusive(void**) {
  std::string deep, pointer;
  for (int i = 0; i < 32; i++) {
    deep += R"({"a":)";
    pointer += "/a";
  }
  expect(pointer, parse_json(deep + "1" + std::string(32, '}'), 32), "1");
  std::string longest(1023, 'a');
  expect('/' + longest, parse_json("{\"" + longest + "\":1}", 4), "1");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_examples_of_the_rfc_hold),
      cmocka_unit_test(escapes_are_undone_in_one_pass),
      cmocka_unit_test(an_array_index_has_one_spelling),
      cmocka_unit_test(members_of_objects_are_never_indices),
      cmocka_unit_test(nothing_is_found_below_a_scalar_or_in_nothing),
      cmocka_unit_test(malformed_pointers_are_refused_with_what_is_allowed),
      cmocka_unit_test(bounds_are_inclusive),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
