// An operator says whose something is.
#include "core/delivery/link.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/record/place.h"
#include "core/source/claim.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

void happens(MemoryRedis& redis, const Delivered& delivered) {
  DeliveryResult result = run(redis, entitle::test::deliver(delivered));
  assert_string_equal(result.error.c_str(), "");
}

DeliveryResult links(MemoryRedis& redis, const char* place, const char* source,
                     const char* name, int milliseconds = 0) {
  DeliveryOptions now = options();
  now.now += std::chrono::milliseconds(milliseconds);
  std::vector<std::string> sources;
  if (*source != '\0') sources.emplace_back(source);
  return run(redis, link_to_user(place, sources, user(name),
                                 OperatorsWord{"olga", "she called"}, now));
}

bool has(const MemoryRedis& redis, const char* name, const char* source) {
  return redis
      .field("entitle:live:{u:" + std::string(name) + '}',
             "source:" + std::string(source))
      .has_value();
}

bool is_parked(const MemoryRedis& redis, const char* place) {
  const MemoryRedis::Value* value = redis.find("entitle:live:parked");
  return value != nullptr &&
         std::get<MemoryRedis::SortedSet>(*value).scores.contains(place);
}

void what_nobody_is_named_for_is_whose_an_operator_says(void**) {
  MemoryRedis redis;
  happens(redis, purchase("evt_1", "cus_1", "cs_1"));
  assert_true(is_parked(redis, "cus_1"));
  DeliveryResult result = links(redis, "cus_1", "", "ada");
  assert_true(result.outcome == Outcome::applied);
  assert_true(result.user == user("ada"));
  assert_true(has(redis, "ada", "cs_1"));
  assert_false(is_parked(redis, "cus_1"));
  const auto& log =
      std::get<MemoryRedis::List>(*redis.find("entitle:live:{u:ada}:log"));
  assert_non_null(
      std::strstr(log.front().c_str(), "\"type\":\"operator.link\""));
  assert_non_null(std::strstr(log.front().c_str(),
                              "\"by\":\"olga\",\"reason\":\"she called\""));
}

void no_later_event_undoes_it(void**) {
  MemoryRedis redis;
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  happens(redis, subscribes("evt_2", "sub_2", "cid"));
  assert_true(has(redis, "bob", "sub_1") && has(redis, "cid", "sub_2"));
  links(redis, "cus_1", "", "ada");
  assert_true(has(redis, "ada", "sub_1") && has(redis, "ada", "sub_2"));
  happens(redis, subscribes("evt_3", "sub_1", "bob", kNow + 100));
  happens(redis, subscribes("evt_4", "sub_4", "dan", kNow + 100));
  for (const char* sub : {"sub_1", "sub_2", "sub_4"}) {
    assert_true(has(redis, "ada", sub));
  }
  assert_false(has(redis, "bob", "sub_1") || has(redis, "dan", "sub_4"));
}

void one_purchase_moves_alone(void**) {
  MemoryRedis redis;
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  happens(redis, subscribes("evt_2", "sub_2", "cid"));
  links(redis, "cus_1", "sub_1", "ada");
  assert_true(has(redis, "ada", "sub_1") && has(redis, "cid", "sub_2"));
  assert_false(has(redis, "bob", "sub_1") || has(redis, "ada", "sub_2"));
  happens(redis, subscribes("evt_3", "sub_1", "bob", kNow + 100));
  assert_true(has(redis, "ada", "sub_1"));
}

void of_two_words_the_later_counts(void**) {
  MemoryRedis redis;
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  links(redis, "cus_1", "sub_1", "ada");
  links(redis, "cus_1", "sub_1", "eve", 1);
  assert_true(has(redis, "eve", "sub_1"));
  links(redis, "cus_1", "", "fay", 2);  // the purchase was named by itself
  assert_true(has(redis, "eve", "sub_1"));
  links(redis, "cus_1", "", "gil", 3);
  happens(redis, subscribes("evt_2", "sub_2", "bob"));
  assert_true(has(redis, "gil", "sub_2"));
}

void a_word_broken_off_anywhere_is_finished_by_the_next(void**) {
  for (int until = 0;; ++until) {
    MemoryRedis redis;
    happens(redis, purchase("evt_1", "cus_1", "cs_1"));
    {
      Player player(redis, link_to_user("cus_1", {}, user("ada"),
                                        OperatorsWord{"olga", ""}, options()));
      int steps = 0;
      while (!player.done() && steps++ < until) player.advance();
      if (player.done()) break;
    }
    links(redis, "cus_1", "", "ada", 1);
    assert_true(has(redis, "ada", "cs_1"));
    assert_false(is_parked(redis, "cus_1"));
  }
}

// Whose it is follows from what was said, whatever was heard first or twice.
void any_order_of_words_ends_the_same(void**) {
  std::vector<Claim> said = {
      about("sub_1", user_claim("evt_1", 10, "bob")),
      about("sub_2", user_claim("evt_2", 30, "cid")),
      user_claim("evt_3", 40, "dan", ClaimKind::customer_metadata)};
  const auto add = [&](std::vector<Claim> claims) {
    said.insert(said.end(), claims.begin(), claims.end());
  };
  add(links({"sub_1"}, user("ada"), unix_time(20), "op_20"));
  add(links({}, user("eve"), unix_time(25), "op_25"));
  add(links({}, user("fay"), unix_time(26), "op_26"));
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5};
  do {
    Place place;
    for (std::size_t i : order) place.add(said[i]);
    for (std::size_t i : order) place.add(said[i]);
    const Owners owners = place.owners();
    assert_true(owners.of("sub_1") == Target::of(user("ada")));
    assert_true(owners.of("sub_2") == Target::of(user("fay")));
    assert_true(owners.rest == Target::of(user("fay")));
    const auto read = decode_claims(encode_claims(place.claims));
    assert_true(read == place.claims);
  } while (std::next_permutation(order.begin(), order.end()));
}

// A delivery of the module's, which names somebody else, meets it at any step.
void whoever_comes_first_it_ends_the_same(void**) {
  for (int until = 0, over = 0; over < 2; ++until) {
    over = 0;
    for (bool link_first : {true, false}) {
      MemoryRedis redis;
      happens(redis, subscribes("evt_1", "sub_1", "bob"));
      Player link(redis, link_to_user("cus_1", {"sub_1"}, user("ada"),
                                      OperatorsWord{"olga", ""}, options(1)));
      const Delivered renewal = subscribes("evt_2", "sub_1", "cid", kNow);
      Player event(redis, entitle::test::deliver(renewal, 2));
      Player& first = link_first ? link : event;
      Player& second = link_first ? event : link;
      for (int i = 0; i < until && !first.done(); ++i) first.advance();
      over += first.done() ? 1 : 0;
      second.finish();
      first.finish();
      assert_string_equal(link.result().error.c_str(), "");
      assert_string_equal(event.result().error.c_str(), "");
      assert_true(has(redis, "ada", "sub_1"));
      assert_false(has(redis, "bob", "sub_1") || has(redis, "cid", "sub_1"));
      const auto source =
          redis.field("entitle:live:{u:ada}", "source:sub_1").value();
      assert_non_null(std::strstr(source.c_str(), "evt_2"));
    }
  }
}

// What a version says that does not know the kinds, but goes by their ranks.
void its_rank_is_written_beside_it(void**) {
  MemoryRedis redis;
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  links(redis, "cus_1", "sub_1", "ada");
  const std::string place = "entitle:live:{p:cus_1}";
  const std::string of_sub = redis.field(place, "claims:sub_1").value();
  assert_non_null(std::strstr(of_sub.c_str(), R"("to":"u:ada","rank":4})"));
  const std::string of_all = redis.field(place, "claims").value();
  assert_non_null(std::strstr(of_all.c_str(), R"("to":"u:ada","rank":2})"));
  links(redis, "cus_1", "", "eve", 1);
  const std::string now = redis.field(place, "claims").value();
  assert_non_null(std::strstr(now.c_str(), R"("to":"u:eve","rank":4})"));
  const auto claims = decode_claims(now);
  assert_true(claims && encode_claims(*claims) == now);
}

void what_an_operator_moves_is_no_conflict(void**) {
  MemoryRedis redis;
  happens(redis, subscribes("evt_1", "sub_1", "bob"));
  links(redis, "cus_1", "sub_1", "ada");
  assert_false(redis.field("entitle:live:webhook", "conflicts").has_value());
  const auto& log =
      std::get<MemoryRedis::List>(*redis.find("entitle:live:{u:bob}:log"));
  assert_non_null(std::strstr(log.front().c_str(), R"("by":"olga")"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_nobody_is_named_for_is_whose_an_operator_says),
      cmocka_unit_test(no_later_event_undoes_it),
      cmocka_unit_test(one_purchase_moves_alone),
      cmocka_unit_test(of_two_words_the_later_counts),
      cmocka_unit_test(a_word_broken_off_anywhere_is_finished_by_the_next),
      cmocka_unit_test(any_order_of_words_ends_the_same),
      cmocka_unit_test(whoever_comes_first_it_ends_the_same),
      cmocka_unit_test(its_rank_is_written_beside_it),
      cmocka_unit_test(what_an_operator_moves_is_no_conflict),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
