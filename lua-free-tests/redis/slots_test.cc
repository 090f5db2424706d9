#include "core/redis/slots.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>

#include "lua-free-tests/support/replies.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::key_slot;
using entitle::kSlots;
using entitle::parse_redirect;
using entitle::Redirect;
using entitle::RedisHost;
using entitle::Reply;
using entitle::SlotMap;
using entitle::test::array;
using entitle::test::error;
using entitle::test::number;
using entitle::test::text;

const RedisHost kAsked = {"10.0.0.9", 7000};

Reply node(std::string_view host, int port) {
  return array({text(host), number(port), text("id"), array({})});
}

Reply three_shards() {
  return array({
      array({number(0), number(5460), node("a", 1), node("a2", 1)}),
      array({number(5461), number(10922), node("b", 2), node("b2", 2),
             node("b3", 2)}),
      array({number(10923), number(16383), node("c", 3)}),
  });
}

SlotMap parsed(const Reply& reply) {
  std::optional<SlotMap> map = SlotMap::parse(reply, kAsked);
  assert_true(map.has_value());
  return *std::move(map);
}

// Values of redis-cli CLUSTER KEYSLOT, and of the specification.
void slots_are_those_of_redis(void**) {
  assert_int_equal(key_slot("123456789"), 0x31c3);
  assert_int_equal(key_slot("foo"), 12182);
  assert_int_equal(key_slot("bar"), 5061);
  assert_int_equal(key_slot(""), 0);
  assert_int_equal(key_slot("foo{bar}"), key_slot("bar"));
  assert_int_equal(key_slot("{bar}foo{x}"), key_slot("bar"));
}

void hash_tags_as_specified(void**) {
  assert_int_equal(key_slot("{user1000}.following"),
                   key_slot("{user1000}.followers"));
  assert_int_equal(key_slot("foo{{bar}}zap"), key_slot("{bar"));
  assert_int_equal(key_slot("foo{bar}{zap}"), key_slot("bar"));
  // An empty tag and one that never ends do not count.
  assert_true(key_slot("foo{}{bar}") != key_slot("bar"));
  assert_true(key_slot("foo{}{bar}") != key_slot("foo"));
  assert_true(key_slot("foo{bar") != key_slot("bar"));
}

void every_slot_finds_its_node(void**) {
  SlotMap map = parsed(three_shards());
  assert_true(*map.primary(0) == (RedisHost{"a", 1}));
  assert_true(*map.primary(5460) == (RedisHost{"a", 1}));
  assert_true(*map.primary(5461) == (RedisHost{"b", 2}));
  assert_true(*map.primary(16383) == (RedisHost{"c", 3}));
  assert_null(map.primary(kSlots));
  assert_int_equal(map.primaries().size(), 3);
}

void uncovered_slots_have_nobody(void**) {
  SlotMap map = parsed(array({array({number(5), number(5), node("a", 1)})}));
  assert_null(map.primary(4));
  assert_non_null(map.primary(5));
  assert_null(map.primary(6));
  assert_null(parsed(array({})).primary(0));
}

void hosts_left_out_are_the_one_asked(void**) {
  for (Reply host : {text(""), text("?"), Reply()}) {
    Reply self = array({host, number(7001)});
    SlotMap map = parsed(array({array({number(0), number(0), self})}));
    assert_true(*map.primary(0) == (RedisHost{"10.0.0.9", 7001}));
  }
}

void hostile_replies_are_refused(void**) {
  auto refused = [](const Reply& reply) {
    assert_false(SlotMap::parse(reply, kAsked).has_value());
  };
  refused(Reply());
  refused(error("ERR This instance has cluster support disabled"));
  refused(array({number(1)}));
  refused(array({array({number(0), number(1)})}));
  refused(array({array({number(-1), number(1), node("a", 1)})}));
  refused(array({array({number(0), number(16384), node("a", 1)})}));
  refused(array({array({number(2), number(1), node("a", 1)})}));
  refused(array({array({text("0"), number(1), node("a", 1)})}));
  refused(array({array({number(0), number(1), node("a", 0)})}));
  refused(array({array({number(0), number(1), node("a", 65536)})}));
  refused(array({array({number(0), number(1), node("a\nb", 1)})}));
  refused(
      array({array({number(0), number(1), node(std::string(254, 'a'), 1)})}));
  refused(array({array({number(0), number(1), array({text("a")})})}));

  std::vector<Reply> many(kSlots + 1,
                          array({number(0), number(0), node("a", 1)}));
  refused(array(many));
  std::vector<Reply> shards;
  for (int port = 1; port <= 1001; ++port) {
    shards.push_back(array({number(port), number(port), node("a", port)}));
  }
  refused(array(shards));
  shards.pop_back();
  assert_int_equal(parsed(array(shards)).primaries().size(), 1000);
}

void redirects_name_slot_and_host(void**) {
  Redirect moved = *parse_redirect(error("MOVED 3999 127.0.0.1:6381"), kAsked);
  assert_true(moved.kind == Redirect::Kind::moved);
  assert_int_equal(moved.slot, 3999);
  assert_true(moved.host == (RedisHost{"127.0.0.1", 6381}));

  Redirect ask = *parse_redirect(error("ASK 0 ::1:6381"), kAsked);
  assert_true(ask.kind == Redirect::Kind::ask);
  assert_true(ask.host == (RedisHost{"::1", 6381}));
  assert_true(parse_redirect(error("MOVED 1 :6381"), kAsked)->host ==
              (RedisHost{"10.0.0.9", 6381}));
  assert_true(parse_redirect(error("MOVED 1 ?:6381"), kAsked)->host ==
              (RedisHost{"10.0.0.9", 6381}));
}

void broken_redirects_are_none(void**) {
  for (std::string_view broken :
       {"", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 a",
        "MOVED 1 a:", "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED 1 a:+1",
        "MOVED -1 a:1", "MOVED 16384 a:1", "MOVED x a:1", "MOVED 1 a b:1",
        "ASKING 1 a:1", "ERR MOVED 1 a:1"}) {
    assert_false(parse_redirect(error(broken), kAsked).has_value());
  }
  assert_false(parse_redirect(text("MOVED 1 a:1"), kAsked).has_value());
}

void a_moved_slot_is_followed_alone(void**) {
  SlotMap map = parsed(three_shards());
  assert_true(map.follow({Redirect::Kind::moved, 10, {"b", 2}}));
  assert_true(*map.primary(10) == (RedisHost{"b", 2}));
  assert_true(*map.primary(11) == (RedisHost{"a", 1}));
  assert_true(map.follow({Redirect::Kind::moved, 11, {"new", 9}}));
  assert_true(*map.primary(11) == (RedisHost{"new", 9}));
  assert_int_equal(map.primaries().size(), 4);
}

void an_ask_changes_nothing(void**) {
  SlotMap map = parsed(three_shards());
  assert_false(map.follow({Redirect::Kind::ask, 10, {"b", 2}}));
  assert_true(*map.primary(10) == (RedisHost{"a", 1}));
}

void endless_redirects_do_not_grow_the_map(void**) {
  SlotMap map = parsed(three_shards());
  int followed = 0;
  for (int i = 0; i < 5000; ++i) {
    auto port = static_cast<std::uint16_t>(10000 + i);
    followed += map.follow({Redirect::Kind::moved, 1, {"x", port}});
  }
  assert_true(followed < 1000);
  assert_int_equal(map.primaries().size(), 4);
}

// Any shape of reply, most of them wrong: parsed or refused, never more.
Reply random_reply(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 0 ? 6 : 4)) {
    case 0:
      return Reply();
    case 1:
      return number(static_cast<std::int64_t>(random() % 20000) - 1000);
    case 2:
      return text(random() % 2 ? "h" : "");
    case 3:
      return error("x");
    default: {
      std::vector<Reply> elements;
      for (std::size_t n = random() % 5; n > 0; --n) {
        elements.push_back(random_reply(random, depth - 1));
      }
      return array(std::move(elements));
    }
  }
}

void any_reply_is_survived(void**) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20000; ++i) {
    auto map = SlotMap::parse(random_reply(random, 3), kAsked);
    if (map) map->primary(static_cast<std::uint16_t>(random()));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(slots_are_those_of_redis),
      cmocka_unit_test(hash_tags_as_specified),
      cmocka_unit_test(every_slot_finds_its_node),
      cmocka_unit_test(uncovered_slots_have_nobody),
      cmocka_unit_test(hosts_left_out_are_the_one_asked),
      cmocka_unit_test(hostile_replies_are_refused),
      cmocka_unit_test(redirects_name_slot_and_host),
      cmocka_unit_test(broken_redirects_are_none),
      cmocka_unit_test(a_moved_slot_is_followed_alone),
      cmocka_unit_test(an_ask_changes_nothing),
      cmocka_unit_test(endless_redirects_do_not_grow_the_map),
      cmocka_unit_test(any_reply_is_survived),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
