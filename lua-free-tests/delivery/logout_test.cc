// What logging out everywhere writes, and when it writes nothing.
#include "core/delivery/logout.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "core/base/types.h"
#include "core/record/keys.h"
#include "lua-free-tests/support/memory_redis.h"

extern "C" {
#include <cmocka.h>
}

using namespace entitle;
using entitle::test::MemoryRedis;

namespace {

constexpr char kKey[] = "entitle:live:{u:ada}";

// `before_exec` runs just before the transaction is sent.
LogoutResult log_out(
    MemoryRedis& redis, std::int64_t now,
    const std::function<void()>& before_exec = [] {}) {
  Conversation<LogoutResult> talk = log_out_everywhere(
      Keys("entitle:", Mode::live), *User::from("ada"), unix_time(now), 1);
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      if (command.front() == "MULTI") before_exec();
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  return talk.result();
}

MemoryRedis with_record() {
  MemoryRedis redis;
  redis.run({"HSET", kKey, "version", "1750000000000"});
  return redis;
}

void logging_out_raises_the_version_and_sets_not_before(void**) {
  MemoryRedis redis = with_record();
  const LogoutResult result = log_out(redis, 1760000000);
  assert_true(result.outcome == LoggedOut::everywhere);
  assert_int_equal(result.version, 1750000000001);
  assert_string_equal(redis.field(kKey, "version")->c_str(), "1750000000001");
  assert_string_equal(redis.field(kKey, "not_before")->c_str(), "1760000001");
  const auto& log =
      std::get<MemoryRedis::List>(*redis.find(std::string(kKey) + ":log"));
  assert_int_equal(log.size(), 1);
  assert_string_equal(
      log[0].c_str(),
      R"({"time":1760000000,"type":"logout","version":1750000000001})");
}

void not_before_never_goes_back(void**) {
  MemoryRedis redis = with_record();
  redis.run({"HSET", kKey, "not_before", "1770000000"});
  log_out(redis, 1760000000);
  assert_string_equal(redis.field(kKey, "not_before")->c_str(), "1770000000");
}

void a_user_without_a_record_stays_without_one(void**) {
  MemoryRedis redis;
  assert_true(log_out(redis, 1760000000).outcome == LoggedOut::no_record);
  assert_true(redis.keys().empty());
}

void a_change_in_between_is_seen(void**) {
  MemoryRedis redis = with_record();
  int tries = 0;
  const LogoutResult result = log_out(redis, 1760000000, [&] {
    if (++tries == 1) redis.run({"HINCRBY", kKey, "version", "1"});
  });
  assert_true(result.outcome == LoggedOut::everywhere);
  assert_int_equal(tries, 2);
  assert_int_equal(result.version, 1750000000002);
}

void it_gives_up_where_the_record_never_rests(void**) {
  MemoryRedis redis = with_record();
  const LogoutResult result = log_out(redis, 1760000000, [&] {
    redis.run({"HINCRBY", kKey, "version", "1"});
  });
  assert_true(result.outcome == LoggedOut::failed);
  assert_false(redis.field(kKey, "not_before").has_value());
}

void a_refused_write_is_a_failure(void**) {
  MemoryRedis redis = with_record();
  redis.refuse_writes("READONLY You can't write against a read only replica.");
  assert_true(log_out(redis, 1760000000).outcome == LoggedOut::failed);
}

// Whoever may write to Redis may have written this. A sanitizer watches.
void a_version_that_cannot_rise_stays(void**) {
  constexpr char kMost[] = "9223372036854775807";
  MemoryRedis redis;
  redis.run({"HSET", kKey, "version", kMost});
  const LogoutResult result = log_out(redis, 1760000000);
  assert_true(result.outcome == LoggedOut::everywhere);
  assert_true(result.version == std::numeric_limits<std::int64_t>::max());
  assert_string_equal(redis.field(kKey, "version")->c_str(), kMost);
  assert_string_equal(redis.field(kKey, "not_before")->c_str(), "1760000001");
}

void enough_replicas_must_have_it(void**) {
  for (int having : {0, 1}) {
    MemoryRedis redis = with_record();
    Conversation<LogoutResult> talk = log_out_everywhere(
        Keys("entitle:", Mode::live), *User::from("ada"), unix_time(1760000000),
        1, {.replicas = 1, .time = std::chrono::seconds(1)});
    MemoryRedis::Connection connection;
    int waits = 0;
    while (const Step* step = talk.next()) {
      std::vector<Reply> replies;
      for (const Command& command : step->commands) {
        if (command == Command{"WAIT", "1", "1000"}) {
          waits++;
          replies.push_back({Reply::Type::integer, having, {}, {}});
        } else {
          replies.push_back(redis.run(connection, command));
        }
      }
      talk.resume(std::move(replies));
    }
    assert_int_equal(waits, 1);
    assert_true(talk.result().outcome ==
                (having == 1 ? LoggedOut::everywhere : LoggedOut::failed));
  }
}

void what_is_no_record_is_left_alone(void**) {
  MemoryRedis redis;
  redis.run({"SET", kKey, "x"});
  assert_true(log_out(redis, 1760000000).outcome == LoggedOut::failed);
  assert_int_equal(redis.keys().size(), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(logging_out_raises_the_version_and_sets_not_before),
      cmocka_unit_test(not_before_never_goes_back),
      cmocka_unit_test(a_user_without_a_record_stays_without_one),
      cmocka_unit_test(a_change_in_between_is_seen),
      cmocka_unit_test(it_gives_up_where_the_record_never_rests),
      cmocka_unit_test(a_refused_write_is_a_failure),
      cmocka_unit_test(a_version_that_cannot_rise_stays),
      cmocka_unit_test(enough_replicas_must_have_it),
      cmocka_unit_test(what_is_no_record_is_left_alone),
  };
  return cmocka_run_group_tests_name("logout", tests, nullptr, nullptr);
}
