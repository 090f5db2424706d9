// Who the app's JSON names: a user, nobody, or nothing that can be believed.
#include "core/user_in_json.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::is_json_pointer;
using entitle::user_in_json;
using Kind = entitle::UserInJson::Kind;

void is_user(const char* json, const char* pointer, const char* user) {
  const auto found = user_in_json(json, pointer);
  assert_true(found.kind == Kind::user);
  assert_string_equal(found.user->str().c_str(), user);
}
void is_guest(const char* json, const char* pointer) {
  const auto found = user_in_json(json, pointer);
  assert_true(found.kind == Kind::guest);
  assert_false(found.user.has_value());
}
void is_broken(const std::string& json, const char* pointer) {
  assert_true(user_in_json(json, pointer).kind == Kind::broken);
}

void text_is_a_user(void**) {
  is_user(R"({"user":{"id":"u_42"}})", "/user/id", "u_42");
  is_user(R"("u_42")", "", "u_42");
  is_user(R"({"a/b":{"~":"x"}})", "/a~1b/~0", "x");
  is_user(R"({"":"x"})", "/", "x");
}

void integers_become_decimal_text(void**) {
  is_user(R"({"id":42})", "/id", "42");
  is_user(R"({"id":9007199254740993})", "/id", "9007199254740993");
  is_user(R"({"id":0})", "/id", "0");
}

void array_elements_can_be_named(void**) {
  is_user(R"({"users":["a","b"]})", "/users/1", "b");
  is_guest(R"({"users":["a"]})", "/users/1");
  is_guest(R"({"users":["a"]})", "/users/-");
  is_guest(R"({"users":["a","b"]})", "/users/01");
}

void absent_null_false_and_empty_are_guests(void**) {
  is_guest("{}", "/user/id");
  is_guest(R"({"user":null})", "/user");
  is_guest(R"({"user":null})", "/user/id");
  is_guest(R"({"user":false})", "/user");
  is_guest(R"({"user":""})", "/user");
  is_guest(R"({"user":"text"})", "/user/id");
}

void what_can_be_nobody_s_id_is_broken(void**) {
  is_broken(R"({"user":true})", "/user");
  is_broken(R"({"user":{}})", "/user");
  is_broken(R"({"user":[]})", "/user");
  is_broken(R"({"user":1.5})", "/user");
  is_broken(R"({"user":"a\u0001"})", "/user");
  is_broken("{\"user\":\"" + std::string(256, 'x') + "\"}", "/user");
}

void what_is_not_json_is_broken(void**) {
  is_broken("", "/user");
  is_broken("<html>", "/user");
  is_broken(R"({"user":"x")", "/user");
  is_broken(R"({"user":"x"} {})", "/user");
  is_broken(R"({"user":"x","user":"y"})", "/user");
  is_broken(R"({"id":99999999999999999999})", "/id");
  is_broken(std::string(10000, '['), "/user");
}

void malformed_pointers_are_known(void**) {
  assert_true(is_json_pointer(""));
  assert_true(is_json_pointer("/"));
  assert_true(is_json_pointer("/a~0~1/b"));
  assert_false(is_json_pointer("user"));
  assert_false(is_json_pointer("/a~"));
  assert_false(is_json_pointer("/a~2"));
  is_broken(R"({"user":"x"})", "user");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(text_is_a_user),
      cmocka_unit_test(integers_become_decimal_text),
      cmocka_unit_test(array_elements_can_be_named),
      cmocka_unit_test(absent_null_false_and_empty_are_guests),
      cmocka_unit_test(what_can_be_nobody_s_id_is_broken),
      cmocka_unit_test(what_is_not_json_is_broken),
      cmocka_unit_test(malformed_pointers_are_known),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
