#include "core/redis/invalidation.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/base/types.h"
#include "core/record/keys.h"
#include "lua-free-tests/support/replies.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Keys;
using entitle::Mode;
using entitle::PushMessage;
using entitle::read_push;
using entitle::Reply;
using entitle::tracking_prefix;
using entitle::User;
using entitle::user_of_key;
using entitle::test::wire;
using Kind = entitle::PushMessage::Kind;

Kind kind(std::string_view bytes) { return read_push(wire(bytes)).kind; }

#define CHANNEL "$20\r\n__redis__:invalidate\r\n"

// As Redis 7.0 sent them.
void messages_of_a_real_server(void**) {
  assert_true(kind("*3\r\n$9\r\nsubscribe\r\n" CHANNEL ":1\r\n") ==
              Kind::subscribed);
  assert_true(kind("*2\r\n$4\r\npong\r\n$0\r\n\r\n") == Kind::pong);
  assert_true(kind("*3\r\n$7\r\nmessage\r\n" CHANNEL "*-1\r\n") ==
              Kind::everything);
  assert_true(kind("*3\r\n$7\r\nmessage\r\n" CHANNEL "$-1\r\n") ==
              Kind::everything);

  Reply two =
      wire("*3\r\n$7\r\nmessage\r\n" CHANNEL "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  PushMessage message = read_push(two);
  assert_true(message.kind == Kind::keys);
  assert_int_equal(message.keys.size(), 2);
  assert_string_equal(message.keys[1].text.c_str(), "b");
}

void what_is_not_understood_means_everything(void**) {
  assert_true(kind("*3\r\n$7\r\nmessage\r\n" CHANNEL "*0\r\n") ==
              Kind::everything);
  assert_true(kind("*3\r\n$7\r\nmessage\r\n" CHANNEL "$1\r\na\r\n") ==
              Kind::everything);
  assert_true(kind("*3\r\n$7\r\nmessage\r\n" CHANNEL
                   "*2\r\n$1\r\na\r\n:1\r\n") == Kind::everything);
}

void anything_else_is_unexpected(void**) {
  assert_true(kind("+PONG\r\n") == Kind::unexpected);
  assert_true(kind("-ERR no\r\n") == Kind::unexpected);
  assert_true(kind("*0\r\n") == Kind::unexpected);
  assert_true(kind("*-1\r\n") == Kind::unexpected);
  assert_true(kind("*1\r\n$4\r\npong\r\n") == Kind::unexpected);
  assert_true(kind("*2\r\n$7\r\nmessage\r\n" CHANNEL) == Kind::unexpected);
  assert_true(kind("*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n*-1\r\n") ==
              Kind::unexpected);
  assert_true(kind("*3\r\n$11\r\nunsubscribe\r\n" CHANNEL ":0\r\n") ==
              Kind::unexpected);
}

void a_record_key_names_its_user(void**) {
  std::string live = tracking_prefix("entitle:", Mode::live);
  for (std::string_view user :
       {"42", "a b", "{brace}", "100%", "j\xc3\xb6rg", "a:b}:log"}) {
    std::string key = Keys("entitle:", Mode::live).record(*User::from(user));
    assert_true(key.starts_with(live));
    assert_true(user_of_key(key, live) == std::string(user));
  }
}

void other_keys_name_nobody(void**) {
  std::string live = tracking_prefix("entitle:", Mode::live);
  Keys keys("entitle:", Mode::live);
  User user = *User::from("42");
  assert_false(user_of_key(keys.log(user), live).has_value());
  assert_false(user_of_key(keys.place("cus_1"), live).has_value());
  assert_false(user_of_key(keys.parked(), live).has_value());
  assert_false(
      user_of_key(Keys("entitle:", Mode::test).record(user), live).has_value());
  assert_false(
      user_of_key(Keys("other:", Mode::live).record(user), live).has_value());
  for (std::string_view tail : {"", "}", "a}b}", "{a}", "%zz}", "%0a}", "a"}) {
    assert_false(user_of_key(live + std::string(tail), live).has_value());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(messages_of_a_real_server),
      cmocka_unit_test(what_is_not_understood_means_everything),
      cmocka_unit_test(anything_else_is_unexpected),
      cmocka_unit_test(a_record_key_names_its_user),
      cmocka_unit_test(other_keys_name_nobody),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
