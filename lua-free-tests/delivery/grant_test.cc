// What an operator gives, and takes back.
#include "core/delivery/grant.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "core/access/access.h"
#include "core/record/record.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const std::string kAda = "entitle:live:{u:ada}";
constexpr Seconds kDay = std::chrono::hours(24);
const UnixTime kSoon = unix_time(kNow) + kDay;

std::vector<Identifier> pro() { return {*Identifier::parse("metadata=pro")}; }

GrantResult gives(MemoryRedis& redis, UnixTime until, std::uint64_t seed = 1) {
  return *hold(redis, grant_to_user(user("ada"), pro(), until,
                                    {"olga", "she helped"}, options(seed)));
}

GrantResult revokes(MemoryRedis& redis, std::vector<std::string> sources) {
  return *hold(redis, revoke_grants(user("ada"), std::move(sources),
                                    {"olga", "enough"}, options()));
}

Record record(MemoryRedis& redis) {
  return *Record::decode(redis.run({"HGETALL", kAda}));
}

bool is_in(MemoryRedis& redis, UnixTime now) {
  return !effective_identifiers(record(redis).sources, {}, now).empty();
}

std::string log_line(MemoryRedis& redis) {
  return std::get<MemoryRedis::List>(*redis.find(kAda + ":log")).front();
}

void it_opens_until_its_end_and_raises_the_version(void**) {
  MemoryRedis redis;
  const GrantResult first = gives(redis, kSoon);
  assert_true(first.stored);
  assert_true(is_in(redis, kSoon - Seconds{1}));
  assert_false(is_in(redis, kSoon));
  const GrantResult second = gives(redis, kForever, 2);
  assert_true(second.sources != first.sources);
  assert_true(is_in(redis, kSoon + 1000 * kDay));
  const Granted& granted =
      *record(redis).sources.at(second.sources.front()).granted;
  assert_string_equal(granted.by.c_str(), "olga");
  assert_string_equal(granted.reason.c_str(), "she helped");
  assert_true(granted.from == unix_time(kNow));
  assert_non_null(std::strstr(log_line(redis).c_str(), "operator.grant"));
  assert_non_null(std::strstr(log_line(redis).c_str(), "she helped"));
}

void revoked_it_is_over_whatever_is_merged_later(void**) {
  MemoryRedis redis;
  const GrantResult given = gives(redis, kForever);
  const Sources before = record(redis).sources;
  const GrantResult over = revokes(redis, given.sources);
  assert_true(over.stored && over.sources == given.sources);
  assert_true(over.version > given.version);
  assert_false(is_in(redis, unix_time(kNow)));
  Sources later = record(redis).sources;
  assert_false(merge(later, before));
  Sources other_way = before;
  merge(other_way, record(redis).sources);
  assert_true(other_way == later);
  assert_non_null(std::strstr(log_line(redis).c_str(), "operator.revoke"));
  assert_non_null(std::strstr(log_line(redis).c_str(), "enough"));
}

void revoked_again_nothing_is_written(void**) {
  MemoryRedis redis;
  const GrantResult given = gives(redis, kForever);
  revokes(redis, given.sources);
  const std::string line = log_line(redis);
  const GrantResult again = revokes(redis, given.sources);
  assert_true(again.stored && again.sources.empty());
  assert_string_equal(log_line(redis).c_str(), line.c_str());
  assert_true(revokes(redis, {"grant:none", "cs_1"}).sources.empty());
}

void what_is_paid_for_is_not_touched(void**) {
  MemoryRedis redis;
  run(redis, entitle::test::deliver(subscribes("evt_1", "sub_1", "ada")));
  const GrantResult given = gives(redis, kForever);
  revokes(redis, given.sources);
  assert_true(revokes(redis, {"sub_1"}).sources.empty());
  assert_true(record(redis).sources.at("sub_1").deleted == std::nullopt);
  assert_true(is_in(redis, unix_time(kNow)));
  // And what Stripe says later leaves the grants alone.
  run(redis, entitle::test::deliver(cancels("evt_2", "sub_1")));
  assert_true(record(redis).sources.contains(given.sources.front()));
  assert_false(is_in(redis, unix_time(kNow)));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_opens_until_its_end_and_raises_the_version),
      cmocka_unit_test(revoked_it_is_over_whatever_is_merged_later),
      cmocka_unit_test(revoked_again_nothing_is_written),
      cmocka_unit_test(what_is_paid_for_is_not_touched),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
