#include "core/redis/warnings.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/redis/info.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::connected_replicas;
using entitle::info_field;
using entitle::replica_wait_warning;
using entitle::says_primary;
using entitle::storage_warnings;

// As Redis 7.0 answers, shortened.
struct Server {
  std::string_view maxmemory = "0";
  std::string_view policy = "noeviction";
  std::string_view aof = "1";
  std::string_view replicas = "0";
  std::string_view role = "master";
};

std::string info(const Server& server) {
  std::string text = "# Memory\r\nused_memory:1048576\r\nmaxmemory:";
  text += server.maxmemory;
  text += "\r\nmaxmemory_human:0B\r\nmaxmemory_policy:";
  text += server.policy;
  text += "\r\n\r\n# Persistence\r\nloading:0\r\naof_enabled:";
  text += server.aof;
  text += "\r\naof_rewrite_in_progress:0\r\n\r\n# Replication\r\nrole:";
  text += server.role;
  text += "\r\nconnected_slaves:";
  text += server.replicas;
  text += "\r\n";
  return text;
}

bool says(const Server& server, std::string_view word) {
  const std::vector<std::string> warnings = storage_warnings(info(server));
  return warnings.size() == 1 &&
         warnings.front().find(word) != std::string::npos;
}

bool is_silent(const Server& server) {
  return storage_warnings(info(server)).empty();
}

void a_field_is_found_by_its_whole_name(void**) {
  const std::string text = "# A\r\nmaxmemory_policy:x\r\nmaxmemory:1\r\nlast:2";
  assert_true(info_field(text, "maxmemory") == "1");
  assert_true(info_field(text, "maxmemory_policy") == "x");
  assert_true(info_field(text, "last") == "2");
  assert_true(info_field(text, "memory").empty());
  assert_true(info_field(text, "lasting").empty());
  assert_true(info_field("", "last").empty());
}

void what_keeps_everything_is_silent(void**) {
  assert_true(is_silent({}));
  assert_true(is_silent({.maxmemory = "1000000"}));
}

void a_policy_that_drops_any_key_puts_records_at_risk(void**) {
  for (std::string_view policy :
       {"allkeys-lru", "allkeys-lfu", "allkeys-random"}) {
    const Server server{.maxmemory = "1000000", .policy = policy};
    assert_true(says(server, "any record"));
    assert_true(says(server, policy));
    assert_true(says(server, "1000000"));
  }
}

void a_policy_that_drops_what_expires_leaves_records(void**) {
  for (std::string_view policy :
       {"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"}) {
    const Server server{.maxmemory = "1000000", .policy = policy};
    assert_true(says(server, "no record"));
    assert_true(says(server, policy));
  }
}

void a_policy_without_a_limit_drops_nothing(void**) {
  assert_true(is_silent({.policy = "allkeys-lru"}));
  assert_true(is_silent({.policy = "volatile-ttl"}));
}

void what_is_only_in_memory_is_lost_with_it(void**) {
  assert_true(says({.aof = "0"}, "append-only"));
  assert_true(is_silent({.aof = "0", .replicas = "1"}));
  assert_true(is_silent({.aof = "0", .replicas = "12"}));
}

void both_risks_are_said(void**) {
  const auto warnings = storage_warnings(
      info({.maxmemory = "1", .policy = "allkeys-lru", .aof = "0"}));
  assert_int_equal(warnings.size(), 2);
}

void what_is_not_said_is_no_risk(void**) {
  assert_true(storage_warnings("").empty());
  assert_true(storage_warnings("maxmemory_policy:allkeys-lru\r\n").empty());
  assert_true(storage_warnings("aof_enabled:0\r\n").empty());
  assert_true(storage_warnings("connected_slaves:0\r\n").empty());
}

void a_replica_that_is_not_counted_may_take_over(void**) {
  assert_int_equal(connected_replicas(info({.replicas = "2"})), 2);
  assert_int_equal(connected_replicas(""), 0);
  const std::string warning = replica_wait_warning(2, 1);
  assert_true(warning.find("2 replicas") != std::string::npos);
  assert_true(warning.find("counts 1") != std::string::npos);
  assert_true(replica_wait_warning(2, 2).empty());
  assert_true(replica_wait_warning(1, 2).empty());
  assert_true(replica_wait_warning(2, 0).empty());
}

void only_a_primary_is_one(void**) {
  assert_true(says_primary(info({})));
  assert_false(says_primary(info({.role = "slave"})));
  assert_false(says_primary(""));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_field_is_found_by_its_whole_name),
      cmocka_unit_test(what_keeps_everything_is_silent),
      cmocka_unit_test(a_policy_that_drops_any_key_puts_records_at_risk),
      cmocka_unit_test(a_policy_that_drops_what_expires_leaves_records),
      cmocka_unit_test(a_policy_without_a_limit_drops_nothing),
      cmocka_unit_test(what_is_only_in_memory_is_lost_with_it),
      cmocka_unit_test(both_risks_are_said),
      cmocka_unit_test(what_is_not_said_is_no_risk),
      cmocka_unit_test(a_replica_that_is_not_counted_may_take_over),
      cmocka_unit_test(only_a_primary_is_one),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
