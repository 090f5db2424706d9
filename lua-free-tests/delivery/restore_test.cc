// What was kept elsewhere comes back: whole where there is nothing, merged
// where there is something, and never to somebody whose it is no more.
#include "core/delivery/restore.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/percent.h"
#include "core/delivery/grant.h"
#include "core/delivery/link.h"
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

const OperatorsWord kWord{"olga", "the disk"};

void happens(MemoryRedis& redis, const Delivered& delivered) {
  DeliveryResult result = run(redis, entitle::test::deliver(delivered));
  assert_string_equal(result.error.c_str(), "");
}

// All places, then all records, as export writes them.
std::vector<KeptHash> kept_of(const MemoryRedis& redis) {
  std::vector<KeptHash> all;
  for (const std::string begin : {"entitle:live:{p:", "entitle:live:{u:"}) {
    for (const std::string& key : redis.keys()) {
      if (!key.starts_with(begin) || !key.ends_with('}')) continue;
      KeptHash kept;
      const bool place = begin.ends_with("p:");
      kept.kind = place ? KeptHash::Kind::place : KeptHash::Kind::record;
      kept.id = *percent_decode(
          key.substr(begin.size(), key.size() - begin.size() - 1));
      for (const auto& [field, value] :
           std::get<MemoryRedis::Hash>(*redis.find(key))) {
        kept.fields.emplace_back(field, value);
      }
      if (!place) {
        const MemoryRedis::Value* log = redis.find(key + ":log");
        if (log != nullptr) kept.log = std::get<MemoryRedis::List>(*log);
      }
      if (auto ttl = redis.ttl(key)) kept.ttl = Seconds{*ttl};
      assert_true(is_sound(kept));
      all.push_back(std::move(kept));
    }
  }
  return all;
}

RestoreResult restores(MemoryRedis& redis, const KeptHash& kept) {
  RestoreResult result = *hold(redis, restore(kept, kWord, options()));
  assert_string_equal(result.error.c_str(), "");
  return result;
}

void restore_each(MemoryRedis& redis, const std::vector<KeptHash>& all) {
  for (const KeptHash& kept : all) restores(redis, kept);
}

bool has(const MemoryRedis& redis, const char* name, const char* source) {
  return redis
      .field("entitle:live:{u:" + std::string(name) + '}',
             "source:" + std::string(source))
      .has_value();
}

// Without versions, which are made anew.
std::vector<KeptHash> without_versions(std::vector<KeptHash> all) {
  for (KeptHash& kept : all) {
    std::erase_if(kept.fields,
                  [](const auto& field) { return field.first == "version"; });
  }
  return all;
}

bool same(const std::vector<KeptHash>& a, const std::vector<KeptHash>& b) {
  const std::vector<KeptHash> one = without_versions(a);
  const std::vector<KeptHash> other = without_versions(b);
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const KeptHash& x, const KeptHash& y) {
                      return x.id == y.id && x.fields == y.fields &&
                             x.log == y.log && x.ttl == y.ttl;
                    });
}

// A customer of two owners who was deleted, one nobody knows, an operator's
// word, a grant, a guest.
void some_business(MemoryRedis& redis) {
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  happens(redis, subscribes("evt_2", "sub_2", "cid"));
  happens(redis, purchase("evt_3", "cus_3", "cs_3"));
  happens(redis, purchase("evt_4", "cus_4", "cs_4"));
  happens(redis, purchase("evt_5", "cs_5", "cs_5",
                          {user_claim("evt_5", 10, "a {}%\xff")}));
  hold(redis, link_to_user("cus_4", {}, user("ada"), kWord, options()));
  hold(redis, grant_to_user(user("ada"), {*Identifier::parse("metadata=pro")},
                            kForever, kWord, options()));
  redis.run({"HSET", "entitle:live:{u:ada}", "budget", "12"});
}

void into_nothing_it_comes_back_byte_for_byte(void**) {
  MemoryRedis was;
  some_business(was);
  const std::vector<KeptHash> all = kept_of(was);
  assert_int_equal(all.size(), 8);
  MemoryRedis one_by_one;
  restore_each(one_by_one, all);
  assert_true(same(kept_of(one_by_one), all));
  MemoryRedis at_once;
  std::vector<KeptHash> places = all, records = all;
  std::erase_if(places, [](const KeptHash& kept) {
    return kept.kind != KeptHash::Kind::place;
  });
  std::erase_if(records, [](const KeptHash& kept) {
    return kept.kind == KeptHash::Kind::place;
  });
  for (const auto& some : {places, records}) {
    const auto made = *hold(at_once, restore_new(some, options()));
    assert_true(made == std::vector<bool>(some.size(), true));
  }
  assert_true(same(kept_of(at_once), all));
  // There it is all known.
  const auto again = *hold(at_once, restore_new(places, options()));
  assert_true(again == std::vector<bool>(places.size(), false));
}

void no_old_session_comes_back_to_life(void**) {
  MemoryRedis was, now;
  some_business(was);
  was.run({"HSET", "entitle:live:{u:bob}", "version", "9000000000000"});
  restore_each(now, kept_of(was));
  assert_string_equal(now.field("entitle:live:{u:bob}", "version")->c_str(),
                      "9000000000001");
  assert_string_equal(now.field("entitle:live:{u:cid}", "version")->c_str(),
                      std::to_string(kNow * 1000 + 1).c_str());
}

void done_again_it_changes_nothing(void**) {
  MemoryRedis redis;
  some_business(redis);
  const std::vector<KeptHash> all = kept_of(redis);
  restore_each(redis, all);
  const std::string dump = redis.dump();
  for (const KeptHash& kept : all) {
    assert_true(restores(redis, kept).outcome == Restored::same);
  }
  assert_string_equal(redis.dump().c_str(), dump.c_str());
}

void what_came_meanwhile_stays(void**) {
  MemoryRedis was, now;
  some_business(was);
  happens(now, subscribes("evt_1", "sub_1", "bob"));
  happens(now, cancels("evt_9", "sub_1"));
  restore_each(now, kept_of(was));
  const Record bob =
      *Record::decode(now.run({"HGETALL", "entitle:live:{u:bob}"}));
  assert_true(bob.sources.at("sub_1").snapshots.front().terminal());
  assert_true(has(now, "cid", "sub_2"));
  assert_true(has(now, "ada", "cs_4"));
}

void it_goes_to_whoever_owns_it_now(void**) {
  MemoryRedis was, now;
  some_business(was);
  // Lost, and since then sub_1 was bought by eve.
  happens(now, subscribes("evt_8", "sub_1", "eve", kNow + 50));
  for (bool in_order : {true, false}) {
    MemoryRedis redis = now;
    std::vector<KeptHash> all = kept_of(was);
    if (!in_order) std::reverse(all.begin(), all.end());
    restore_each(redis, all);
    assert_true(has(redis, "eve", "sub_1"));
    assert_false(has(redis, "bob", "sub_1"));
    assert_true(has(redis, "cid", "sub_2"));
    const std::string sub_1 =
        *redis.field("entitle:live:{u:eve}", "source:sub_1");
    assert_true(sub_1.find("evt_1") != std::string::npos);
    assert_true(sub_1.find("evt_8") != std::string::npos);
  }
}

void broken_off_anywhere_it_is_finished_by_the_next(void**) {
  MemoryRedis was, now;
  some_business(was);
  happens(now, subscribes("evt_8", "sub_1", "eve", kNow + 50));
  const std::vector<KeptHash> all = kept_of(was);
  MemoryRedis whole = now;
  restore_each(whole, all);
  for (int steps = 0; steps < 40; ++steps) {
    MemoryRedis redis = now;
    int left = steps;
    for (const KeptHash& kept : all) {
      if (!hold(redis, restore(kept, kWord, options()), left)) break;
    }
    restore_each(redis, all);
    for (const char* name : {"ada", "bob", "cid", "eve"}) {
      for (const char* source : {"sub_1", "sub_2", "cs_4"}) {
        assert_int_equal(has(redis, name, source), has(whole, name, source));
      }
    }
  }
}

void what_cannot_be_read_stays(void**) {
  MemoryRedis was, now;
  some_business(was);
  now.run({"SET", "entitle:live:{u:ada}", "mine"});
  now.run({"HSET", "entitle:live:{u:bob}", "source:sub_1", "{"});
  for (const KeptHash& kept : kept_of(was)) {
    const Restored outcome = restores(now, kept).outcome;
    const bool unreadable = kept.id == "ada" || kept.id == "bob";
    assert_int_equal(outcome == Restored::unreadable, unreadable);
  }
  assert_string_equal(
      now.field("entitle:live:{u:bob}", "source:sub_1")->c_str(), "{");
}

void what_it_cannot_be_is_not_sound(void**) {
  using Kind = KeptHash::Kind;
  assert_false(is_sound({Kind::record, "", {{"version", "1"}}, {}, {}}));
  assert_false(is_sound({Kind::record, "a\n", {{"version", "1"}}, {}, {}}));
  assert_false(is_sound({Kind::record, "a", {}, {}, {}}));
  assert_false(is_sound({Kind::record, "a", {{"source:x", "{"}}, {}, {}}));
  assert_false(is_sound({Kind::place, "cus_1", {{"claims", "x"}}, {}, {}}));
  assert_true(is_sound({Kind::place, "cus_1", {{"epoch", "0"}}, {}, {}}));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(into_nothing_it_comes_back_byte_for_byte),
      cmocka_unit_test(no_old_session_comes_back_to_life),
      cmocka_unit_test(done_again_it_changes_nothing),
      cmocka_unit_test(what_came_meanwhile_stays),
      cmocka_unit_test(it_goes_to_whoever_owns_it_now),
      cmocka_unit_test(broken_off_anywhere_it_is_finished_by_the_next),
      cmocka_unit_test(what_cannot_be_read_stays),
      cmocka_unit_test(what_it_cannot_be_is_not_sound),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
