#include "core/redis/address.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::parse_redis_address;
using entitle::RedisAddress;
using entitle::RedisHost;
using Kind = RedisAddress::Kind;

RedisAddress parsed(std::string_view text) {
  entitle::ParsedRedisAddress result = parse_redis_address(text);
  if (!result.address) {
    fail_msg("%.*s: %s", static_cast<int>(text.size()), text.data(),
             result.error.c_str());
  }
  return *result.address;
}

void refused(std::string_view text, std::string_view because) {
  entitle::ParsedRedisAddress result = parse_redis_address(text);
  if (result.address) {
    fail_msg("%.*s was accepted", static_cast<int>(text.size()), text.data());
  }
  if (result.error.find(because) == std::string::npos) {
    fail_msg("%.*s: %s", static_cast<int>(text.size()), text.data(),
             result.error.c_str());
  }
}

void one_server_with_defaults(void**) {
  RedisAddress address = parsed("redis://127.0.0.1");
  assert_true(address.kind == Kind::single);
  assert_true(address.hosts == std::vector<RedisHost>({{"127.0.0.1", 6379}}));
  assert_int_equal(address.db, 0);
  assert_true(address.user.empty());
  assert_false(address.ssl);
}

void one_server_with_everything(void**) {
  RedisAddress address = parsed("rediss://gate@cache-1.example.com:7000/3");
  assert_true(address.hosts ==
              std::vector<RedisHost>({{"cache-1.example.com", 7000}}));
  assert_string_equal(address.user.c_str(), "gate");
  assert_int_equal(address.db, 3);
  assert_true(address.ssl);
  assert_int_equal(parsed("redis://h/").db, 0);
}

void ipv6_is_written_in_brackets(void**) {
  RedisAddress address = parsed("redis://[::1]:6380/1");
  assert_true(address.hosts == std::vector<RedisHost>({{"::1", 6380}}));
  assert_true(parsed("redis://[fe80::1]").hosts[0].port == 6379);
  refused("redis://::1", "host");
  refused("redis://[::1", "host");
  refused("redis://[::1]6380", "host");
  refused("redis://[localhost]", "host");
}

void unix_sockets_may_name_a_database(void**) {
  RedisAddress address = parsed("unix:/run/redis.sock");
  assert_true(address.kind == Kind::unix_socket);
  assert_string_equal(address.path.c_str(), "/run/redis.sock");
  assert_int_equal(address.db, 0);
  address = parsed("unix:/run/redis.sock:5");
  assert_string_equal(address.path.c_str(), "/run/redis.sock");
  assert_int_equal(address.db, 5);
  refused("unix:run/redis.sock", "absolute path");
  refused("unix:/run/redis.sock:x", "number");
  refused("unix:", "absolute path");
}

void sentinels_name_their_master(void**) {
  RedisAddress address = parsed("sentinel://a:1,b,[::2]:3/mymaster/2");
  assert_true(address.kind == Kind::sentinel);
  assert_true(address.hosts ==
              std::vector<RedisHost>({{"a", 1}, {"b", 26379}, {"::2", 3}}));
  assert_string_equal(address.master_name.c_str(), "mymaster");
  assert_int_equal(address.db, 2);
  refused("sentinel://a,b", "master");
  refused("sentinel://a,b/", "master");
  refused("sentinel://a,/m", "host");
}

void clusters_have_no_database(void**) {
  RedisAddress address = parsed("cluster://a:7000,b:7001");
  assert_true(address.kind == Kind::cluster);
  assert_int_equal(address.hosts.size(), 2);
  refused("cluster://a:7000/1", "no databases");
}

void a_password_is_refused_with_a_hint(void**) {
  refused("redis://user:secret@h", "entitle_redis_password_file");
  refused("redis://:secret@h", "entitle_redis_password_file");
}

void rubbish_says_what_is_allowed(void**) {
  refused("", "redis://");
  refused("localhost:6379", "redis://");
  refused("http://h", "redis://");
  refused("redis://", "host");
  refused("redis://h:", "host");
  refused("redis://h:0", "host");
  refused("redis://h:65536", "host");
  refused("redis://h:+1", "host");
  refused("redis://a,b", "sentinel:// or cluster://");
  refused("redis://h/-1", "number");
  refused("redis://h/1/2", "number");
  refused("redis://h/65536", "number");
  refused("redis://@h", "user");
  refused("redis://h h", "white space");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_server_with_defaults),
      cmocka_unit_test(one_server_with_everything),
      cmocka_unit_test(ipv6_is_written_in_brackets),
      cmocka_unit_test(unix_sockets_may_name_a_database),
      cmocka_unit_test(sentinels_name_their_master),
      cmocka_unit_test(clusters_have_no_database),
      cmocka_unit_test(a_password_is_refused_with_a_hint),
      cmocka_unit_test(rubbish_says_what_is_allowed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
