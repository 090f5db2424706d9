#include "core/identity/app_session.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/json/document.h"

extern "C" {
#include <cmocka.h>
}

using entitle::AppSessionError;
using entitle::AppSessionRules;
using entitle::AppSessionVerdict;
using entitle::JsonPointer;
using entitle::read_app_session;
using entitle::session_id;
using entitle::SessionKey;

namespace {

const std::string kId = "mZ2o9v0bQYt8xR4kE1aW_cN5-sLJ7uHd";
const std::string kMac = "ZrM0+abcdefghijklmnopqrstuvwxyzABCDEFGHIJ/8";

std::string id_of(std::string_view cookie) {
  return session_id(cookie).value_or("(none)");
}

AppSessionRules rules(std::string_view user, std::string_view version = "") {
  std::string error;
  AppSessionRules made{*JsonPointer::parse(user, error), {}};
  if (!version.empty()) made.version = *JsonPointer::parse(version, error);
  return made;
}

// The user, "(guest)" or the error's name.
std::string who(std::string_view pointer, std::string_view value) {
  AppSessionVerdict verdict = read_app_session(rules(pointer), value);
  if (verdict.error != AppSessionError::none) {
    assert_false(verdict.user.has_value());
    return std::string(name(verdict.error));
  }
  return verdict.user ? verdict.user->str() : "(guest)";
}

void expect(std::string_view pointer, std::string_view value,
            const char* answer) {
  assert_string_equal(who(pointer, value).c_str(), answer);
}

std::string php(const std::string& text) {
  return "s:" + std::to_string(text.size()) + ":\"" + text + "\";";
}

void express_cookies_are_unwrapped_encoded_or_not(void**) {
  assert_int_equal(kMac.size(), 43);
  assert_string_equal(id_of("s:" + kId + '.' + kMac).c_str(), kId.c_str());
  std::string encoded_mac =
      "ZrM0%2Babcdefghijklmnopqrstuvwxyz"
      "ABCDEFGHIJ%2f8";
  assert_string_equal(id_of("s%3A" + kId + '.' + encoded_mac).c_str(),
                      kId.c_str());
  assert_string_equal(id_of("s%3a" + kId + "%2E" + encoded_mac).c_str(),
                      kId.c_str());
}

void an_id_with_dots_keeps_them(void**) {
  std::string id = "node-1." + kId;
  assert_string_equal(id_of("s:" + id + '.' + kMac).c_str(), id.c_str());
}

void plain_ids_are_taken_as_they_are(void**) {
  for (const char* id : {"kz2l1s4yq0w8u7n3v5x6c9b1m2a3d4f5",
                         "0f8fad5b-d9cb-469f-a165-70867728950e",
                         "Hbxozx8rTj+XXGWAzOhh1npZFXaGLpTWpWCaXuo44xQ="}) {
    assert_string_equal(id_of(id).c_str(), id);
  }
}

void anything_else_is_no_id(void**) {
  const std::string nul = kId + std::string("\0", 1);
  for (const std::string& bad : {
           std::string(),
           std::string("short"),
           kId.substr(0, 15),
           std::string(257, 'a'),
           std::string(8192, 'a'),
           "s:" + kId,                               // no MAC
           "s:" + kId + '.',                         // empty MAC
           "s:" + kId + '.' + kMac.substr(1),        // cut
           "s:" + kId + '.' + kMac + 'A',            // too long
           "s:" + kId + '.' + kMac.substr(1) + '_',  // not base64
           "s:." + kMac,
           "s:" + kId.substr(0, 15) + '.' + kMac,
           "j:" + kId + '.' + kMac,  // express' JSON cookie
           "s%3" + kId,
           "%zz" + kId,
           kId + '%',
           nul,
           kId + "%00",
           kId + "\r\n",
           kId + "%0d%0aFLUSHALL",
           kId + ':' + kId,
           kId + " " + kId,
           kId + '*',
           kId + '{',
           kId + "\x80",
           "s%253A" + kId + '.' + kMac,  // encoded twice
       }) {
    assert_string_equal(id_of(bad).c_str(), "(none)");
  }
}

void a_key_is_a_prefix_with_the_id_in_its_place(void**) {
  struct Row {
    const char* text;
    SessionKey::From from;
    const char* source;
    const char* key;
  };
  const Row rows[] = {
      {"sess:cookie=connect.sid", SessionKey::From::cookie, "connect.sid",
       "sess:ID"},
      {":1:django.contrib.sessions.cachecookie=sessionid",
       SessionKey::From::cookie, "sessionid",
       ":1:django.contrib.sessions.cacheID"},
      {"sess:$cookie_sid", SessionKey::From::variable, "cookie_sid", "sess:ID"},
      {"app:${cookie_sid}:web", SessionKey::From::variable, "cookie_sid",
       "app:ID:web"},
      {"app:$cookie_sid:web", SessionKey::From::variable, "cookie_sid",
       "app:ID:web"},
  };
  for (const Row& row : rows) {
    std::string error;
    auto key = SessionKey::parse(row.text, error);
    assert_true(key.has_value());
    assert_true(key->from() == row.from);
    assert_string_equal(key->source().c_str(), row.source);
    assert_string_equal(key->key("ID").c_str(), row.key);
  }
}

void a_key_that_a_client_could_choose_freely_is_refused(void**) {
  const std::string nul("se\0ss:$sid", 10);
  for (const std::string& bad :
       {std::string(), std::string("sess:"), std::string("$sid"),
        std::string("${sid}:web"), std::string("cookie=sid"),
        std::string("sess:$"), std::string("sess:${sid"),
        std::string("sess:${}"), std::string("sess:$-"),
        std::string("sess:cookie="), std::string("sess:$a$b"),
        std::string("sess:${a}cookie=b"), std::string("sess:cookie=a$b"),
        std::string("sess:cookie=a b"), std::string("sess:\n$sid"), nul}) {
    std::string error;
    assert_false(SessionKey::parse(bad, error).has_value());
    assert_false(error.empty());
  }
}

void connect_redis_sessions_name_their_user(void**) {
  const char* value =
      R"({"cookie":{"originalMaxAge":86400000,"expires":)"
      R"("2026-01-02T00:00:00.000Z","httpOnly":true,"path":"/"},)"
      R"("passport":{"user":"u_42"},"views":3})";
  expect("/passport/user", value, "u_42");
  expect("/passport", value, "no_user_text");
  expect("/passport/id", value, "(guest)");
  expect("/views", value, "3");
}

void django_sessions_in_plain_json_name_their_user(void**) {
  const char* value =
      R"({"_auth_user_id":"7","_auth_user_backend":)"
      R"("django.contrib.auth.backends.ModelBackend","_auth_user_hash":"ab"})";
  expect("/_auth_user_id", value, "7");
}

void laravel_sessions_in_json_are_unwrapped(void**) {
  const std::string json =
      R"({"_token":"x","login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d":)"
      R"(12,"_flash":{"old":[],"new":[]}})";
  const char* pointer = "/login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d";
  expect(pointer, json, "12");
  expect(pointer, php(json), "12");
}

void json_inside_a_json_string_is_read_once(void**) {
  expect("/user/id", R"("{\"user\":{\"id\":5}}")", "5");
  expect("/user", R"("\"{\\\"user\\\":5}\"")", "not_json");
}

// A string of the app's user must not become structure.
void strings_inside_the_session_stay_strings(void**) {
  expect("/profile/id", R"({"profile":"{\"id\":\"admin\"}"})", "(guest)");
}

void a_php_envelope_must_be_exact(void**) {
  const std::string json = R"({"user":"a"})";
  expect("/user", php(json), "a");
  for (const std::string& bad :
       {std::string(R"(s:11:"{"user":"a"}";)"),
        std::string(R"(s:13:"{"user":"a"}";)"),
        std::string(R"(s:12:"{"user":"a"} ";)"), php(json) + "i:1;",
        php(json) + ' ', "s:12:\"" + json + '"', std::string("s:12:\"") + json,
        std::string(R"(s:1:";)"), std::string(R"(s:0:"";)"), std::string("s:1"),
        std::string(R"(s:99999999999999999999999:"";)")}) {
    expect("/user", bad, "php_serialized");
  }
}

void formats_that_are_not_json_are_named_and_never_guessed(void**) {
  expect("/user", R"(a:1:{s:4:"user";i:5;})", "php_serialized");
  expect("/user", php(R"(a:1:{s:4:"user";i:5;})"), "php_serialized");
  expect("/user", R"(user|s:1:"5";)", "php_serialized");
  expect("/user", R"(_sf2_attributes|a:1:{s:4:"user";i:5;})", "php_serialized");
  expect("/user", "O:8:\"stdClass\":0:{}", "php_serialized");
  expect("/user", "N;", "php_serialized");
  expect("/user", "\x80\x05\x95{\"user\":5}", "python_pickled");
  expect("/user", "\x80\x02}q", "python_pickled");
  expect("/user", "(dp0\nS'user'\np1\nI5\ns.", "python_pickled");
  expect("/user", "\x04\x08{\x06I\"\x09user", "ruby_marshaled");
  for (const char* bad :
       {"", "user=5", "5", "\"5\"", "null", "true", "{", "\x81\xa4user\x05",
        "x\x9c\x03", R"({"user":1,"user":2})"}) {
    expect("/user", bad, "not_json");
  }
  expect("/user", std::string(100, '['), "not_json");
  expect("/user", std::string(64 * 1024 + 1, ' '), "too_long");
}

void nobody_is_a_guest_and_not_a_failure(void**) {
  for (const char* value :
       {"{}", "[]", R"({"user":null})", R"({"user":false})", R"({"user":""})",
        R"({"user":{}})", R"({"user":[]})", R"({"other":1})"}) {
    expect("/user", value, "(guest)");
  }
}

void what_is_no_user_is_a_failure_and_not_a_guest(void**) {
  const std::string longest(255, 'u');
  expect("/user", R"({"user":")" + longest + "\"}", longest.c_str());
  expect("/user", R"({"user":")" + longest + "u\"}", "no_user_text");
  for (const char* value :
       {R"({"user":true})", R"({"user":{"id":1}})", R"({"user":[1]})",
        R"({"user":1.5})", R"({"user":"a\nb"})", R"({"user":"\u007f"})"}) {
    expect("/user", value, "no_user_text");
  }
}

void numbers_are_users_by_their_decimal_text(void**) {
  expect("/user", R"({"user":9007199254740993})", "9007199254740993");
  expect("/user", R"({"user":42.0})", "42");
  expect("/list/1/id", R"({"list":[{},{"id":-3}]})", "-3");
}

void a_version_is_optional_but_never_wrong(void**) {
  AppSessionRules with = rules("/u", "/v");
  auto read = [&](const char* value) { return read_app_session(with, value); };
  assert_int_equal(*read(R"({"u":1,"v":1767225600123})").version,
                   1767225600123);
  assert_int_equal(*read(R"({"u":1,"v":"1767225600123"})").version,
                   1767225600123);
  for (const char* none : {R"({"u":1})", R"({"u":1,"v":null})"}) {
    assert_true(read(none).user.has_value());
    assert_false(read(none).version.has_value());
  }
  for (const char* bad : {R"({"u":1,"v":""})", R"({"u":1,"v":-1})",
                          R"({"u":1,"v":"x"})", R"({"u":1,"v":[1]})"}) {
    assert_true(read(bad).error == AppSessionError::bad_version);
    assert_false(read(bad).user.has_value());
  }
  assert_false(read(R"({"v":5})").user.has_value());
}

void a_scalar_document_can_be_the_user_where_the_caller_says_so(void**) {
  auto document = entitle::parse_json("\"u_1\"", 1);
  auto verdict = user_in_json(rules(""), document.get());
  assert_string_equal(verdict.user->str().c_str(), "u_1");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(express_cookies_are_unwrapped_encoded_or_not),
      cmocka_unit_test(an_id_with_dots_keeps_them),
      cmocka_unit_test(plain_ids_are_taken_as_they_are),
      cmocka_unit_test(anything_else_is_no_id),
      cmocka_unit_test(a_key_is_a_prefix_with_the_id_in_its_place),
      cmocka_unit_test(a_key_that_a_client_could_choose_freely_is_refused),
      cmocka_unit_test(connect_redis_sessions_name_their_user),
      cmocka_unit_test(django_sessions_in_plain_json_name_their_user),
      cmocka_unit_test(laravel_sessions_in_json_are_unwrapped),
      cmocka_unit_test(json_inside_a_json_string_is_read_once),
      cmocka_unit_test(strings_inside_the_session_stay_strings),
      cmocka_unit_test(a_php_envelope_must_be_exact),
      cmocka_unit_test(formats_that_are_not_json_are_named_and_never_guessed),
      cmocka_unit_test(nobody_is_a_guest_and_not_a_failure),
      cmocka_unit_test(what_is_no_user_is_a_failure_and_not_a_guest),
      cmocka_unit_test(numbers_are_users_by_their_decimal_text),
      cmocka_unit_test(a_version_is_optional_but_never_wrong),
      cmocka_unit_test(
          a_scalar_document_can_be_the_user_where_the_caller_says_so),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
