#include "core/redis/endpoint.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Endpoint;

void an_endpoint_is_named_as_people_write_it(void**) {
  Endpoint endpoint;
  endpoint.host = {"redis.example.com", 6379};
  assert_string_equal(endpoint.text().c_str(), "redis.example.com:6379");
  endpoint.host = {"::1", 7000};
  assert_string_equal(endpoint.text().c_str(), "[::1]:7000");
  endpoint.path = "/run/redis.sock";
  assert_string_equal(endpoint.text().c_str(), "unix:/run/redis.sock");
}

void another_login_or_database_is_another_connection(void**) {
  const Endpoint one{{"h", 1}, "", false, Endpoint::Login::redis, 0};
  Endpoint other = one;
  assert_true(one == other);
  other.db = 1;
  assert_false(one == other);
  other = one;
  other.login = Endpoint::Login::sentinel;
  assert_false(one == other);
  other = one;
  other.ssl = true;
  assert_false(one == other);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_endpoint_is_named_as_people_write_it),
      cmocka_unit_test(another_login_or_database_is_another_connection),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
