#include "core/redis/sentinel.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "lua-free-tests/support/replies.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::Milliseconds;
using entitle::parse_master_address;
using entitle::parse_role;
using entitle::parse_switch_master;
using entitle::PrimaryVote;
using entitle::RedisHost;
using entitle::Reply;
using entitle::Role;
using entitle::SentinelSearch;
using entitle::test::array;
using entitle::test::text;
using entitle::test::wire;
using Next = entitle::SentinelSearch::Next;

Reply address(std::string_view host, std::string_view port) {
  return array({text(host), text(port)});
}

Reply master(std::string_view host, std::string_view flags) {
  return array({text("name"), text("mymaster"), text("ip"), text(host),
                text("port"), text("6379"), text("runid"), text(""),
                text("flags"), text(flags), text("quorum"), text("2")});
}

const Reply kMaster = wire("*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n");
const Reply kReplica = wire(
    "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n"
    ":3167038\r\n");
const RedisHost kA = {"10.0.0.1", 6379}, kB = {"10.0.0.2", 6379};

void a_sentinel_names_the_primary(void**) {
  assert_true(*parse_master_address(address("10.0.0.1", "6379")) == kA);
  assert_false(parse_master_address(wire("*-1\r\n")).has_value());
  assert_false(parse_master_address(wire("-IDONTKNOW no\r\n")).has_value());
  for (std::string_view port : {"", "0", "65536", "-1", "1x"}) {
    assert_false(parse_master_address(address("h", port)).has_value());
  }
  for (std::string host : {std::string(), std::string(254, 'a'),
                           std::string("a b"), std::string("a\n")}) {
    assert_false(parse_master_address(address(host, "1")).has_value());
  }
  assert_false(parse_master_address(wire("*1\r\n$1\r\na\r\n")).has_value());
}

void a_switch_names_the_new_primary(void**) {
  assert_true(*parse_switch_master("mymaster 10.0.0.1 6379 10.0.0.2 6379",
                                   "mymaster") == kB);
  for (std::string_view broken :
       {"", "mymaster", "mymaster 10.0.0.1 6379 10.0.0.2",
        "mymaster 10.0.0.1 6379 10.0.0.2 6379 ",
        "mymaster 10.0.0.1 6379 10.0.0.2 0", "mymaster 10.0.0.1 6379  6379",
        "other 10.0.0.1 6379 10.0.0.2 6379"}) {
    assert_false(parse_switch_master(broken, "mymaster").has_value());
  }
}

void roles_as_redis_tells_them(void**) {
  Role primary = *parse_role(kMaster);
  assert_true(primary.kind == Role::Kind::primary);
  assert_int_equal(primary.offset, 3129659);

  Role replica = *parse_role(kReplica);
  assert_true(replica.kind == Role::Kind::replica);
  assert_true(replica.linked);
  assert_int_equal(replica.offset, 3167038);
  assert_true(replica.primary == (RedisHost{"127.0.0.1", 9000}));
  assert_false(
      parse_role(wire("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n"
                      "$7\r\nconnect\r\n:-1\r\n"))
          ->linked);

  assert_true(
      parse_role(wire("*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n"))->kind ==
      Role::Kind::sentinel);
}

void broken_roles_are_none(void**) {
  for (std::string_view broken :
       {"*-1\r\n", "*0\r\n", "$6\r\nmaster\r\n", "-ERR no\r\n",
        "*1\r\n$6\r\nmaster\r\n", "*2\r\n$6\r\nmaster\r\n$1\r\n1\r\n",
        "*2\r\n:1\r\n:1\r\n", "*1\r\n$5\r\nslave\r\n", "*1\r\n$5\r\nother\r\n",
        "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:0\r\n$1\r\nb\r\n:1\r\n",
        "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n:1\r\n:1\r\n"}) {
    assert_false(parse_role(wire(broken)).has_value());
  }
}

SentinelSearch three() {
  return SentinelSearch({{"s1", 1}, {"s2", 2}, {"s3", 3}},
                        {Milliseconds{100}, Milliseconds{1000}});
}

void found(SentinelSearch& search) {
  search.answered(address("10.0.0.1", "6379"), 0);
  search.role(kMaster, 0);
  assert_true(search.next() == Next::found);
}

void the_primary_is_found_when_its_role_agrees(void**) {
  SentinelSearch search = three();
  assert_true(search.next() == Next::ask);
  assert_string_equal(search.sentinel().host.c_str(), "s1");
  search.answered(address("10.0.0.1", "6379"), 0);
  assert_true(search.next() == Next::connect);
  assert_true(search.candidate() == kA);
  search.role(kMaster, 0);
  assert_true(search.next() == Next::found);
  assert_true(search.candidate() == kA);
}

void a_replica_is_not_accepted(void**) {
  SentinelSearch search = three();
  search.answered(address("10.0.0.1", "6379"), 0);
  search.role(kReplica, 0);
  assert_true(search.next() == Next::ask);
  assert_string_equal(search.sentinel().host.c_str(), "s2");
  search.answered(address("10.0.0.1", "6379"), 0);
  search.role(wire("-LOADING Redis is loading\r\n"), 0);
  assert_true(search.next() == Next::ask);
  assert_string_equal(search.sentinel().host.c_str(), "s3");
}

void the_next_sentinel_is_asked_where_one_fails(void**) {
  SentinelSearch search = three();
  search.sentinel_failed(0);
  assert_string_equal(search.sentinel().host.c_str(), "s2");
  search.answered(wire("*-1\r\n"), 0);
  assert_string_equal(search.sentinel().host.c_str(), "s3");
  search.answered(address("10.0.0.2", "6379"), 0);
  search.candidate_failed(0);
  assert_true(search.next() == Next::rest);
}

void a_round_without_success_rests_longer_each_time(void**) {
  SentinelSearch search = three();
  for (int pause : {50, 100, 200}) {
    for (int i = 0; i < 3; ++i) search.sentinel_failed(0);
    assert_true(search.next() == Next::rest);
    assert_int_equal(search.pause().count(), pause);
    search.sentinel_failed(0);
    search.rested();
    assert_true(search.next() == Next::ask);
    assert_string_equal(search.sentinel().host.c_str(), "s1");
  }
  found(search);
  search.lost();
  for (int i = 0; i < 3; ++i) search.sentinel_failed(0);
  assert_int_equal(search.pause().count(), 50);
}

void the_sentinel_that_knew_is_asked_first(void**) {
  SentinelSearch search = three();
  search.sentinel_failed(0);
  search.sentinel_failed(0);
  found(search);
  search.lost();
  assert_true(search.next() == Next::ask);
  std::vector<std::string> order;
  for (int i = 0; i < 3; ++i) {
    order.push_back(search.sentinel().host);
    search.sentinel_failed(0);
  }
  assert_true(order == (std::vector<std::string>{"s3", "s1", "s2"}));
}

void a_switch_is_followed_once_the_role_agrees(void**) {
  SentinelSearch search = three();
  found(search);
  search.switched(kA);
  assert_true(search.next() == Next::found);
  search.switched(kB);
  assert_true(search.next() == Next::connect);
  assert_true(search.candidate() == kB);
  search.role(kReplica, 0);
  assert_true(search.next() == Next::ask);
  search.rested();
  search.switched(kB);
  search.role(kMaster, 0);
  assert_true(search.next() == Next::found);
  assert_true(search.candidate() == kB);
}

void late_reports_change_nothing(void**) {
  SentinelSearch search = three();
  search.role(kMaster, 0);
  search.candidate_failed(0);
  search.rested();
  search.lost();
  assert_true(search.next() == Next::ask);
  assert_string_equal(search.sentinel().host.c_str(), "s1");
  found(search);
  search.answered(address("10.0.0.2", "6379"), 0);
  search.sentinel_failed(0);
  search.role(kReplica, 0);
  search.candidate_failed(0);
  assert_true(search.next() == Next::found);
  assert_true(search.candidate() == kA);
}

void most_of_the_configured_sentinels_have_to_agree(void**) {
  Reply a = master("10.0.0.1", "master");
  PrimaryVote vote(kA, 3);
  vote.answered(0, a);
  vote.answered(0, a);
  vote.answered(7, a);
  assert_false(vote.confirmed());
  vote.answered(1, wire("-ERR No such master with that name\r\n"));
  assert_false(vote.confirmed());
  vote.answered(2, a);
  assert_true(vote.confirmed());
  assert_false(vote.contradicted());

  PrimaryVote even(kA, 2);
  even.answered(0, a);
  assert_false(even.confirmed());
  PrimaryVote one(kA, 1);
  one.answered(0, a);
  assert_true(one.confirmed());
}

void a_sentinel_that_sees_trouble_does_not_agree(void**) {
  for (std::string_view flags :
       {"master,s_down", "s_down,master", "o_down,s_down,master",
        "master,disconnected", "master,failover_in_progress", "slave", ""}) {
    PrimaryVote vote(kA, 1);
    vote.answered(0, master("10.0.0.1", flags));
    assert_false(vote.confirmed());
    assert_false(vote.contradicted());
  }
}

void a_sentinel_that_names_another_is_heard(void**) {
  PrimaryVote vote(kA, 3);
  vote.answered(0, master("10.0.0.2", "master"));
  assert_true(vote.contradicted());
  assert_false(vote.confirmed());
}

void a_broken_state_is_none(void**) {
  assert_true(entitle::parse_master_state(master("10.0.0.1", "master"))->well);
  assert_false(entitle::parse_master_state(master("", "master")).has_value());
  assert_false(entitle::parse_master_state(wire("*-1\r\n")).has_value());
  assert_false(
      entitle::parse_master_state(wire("*1\r\n$2\r\nip\r\n")).has_value());
  assert_false(entitle::parse_master_state(wire("*2\r\n$2\r\nip\r\n:1\r\n"))
                   .has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_sentinel_names_the_primary),
      cmocka_unit_test(a_switch_names_the_new_primary),
      cmocka_unit_test(roles_as_redis_tells_them),
      cmocka_unit_test(broken_roles_are_none),
      cmocka_unit_test(the_primary_is_found_when_its_role_agrees),
      cmocka_unit_test(a_replica_is_not_accepted),
      cmocka_unit_test(the_next_sentinel_is_asked_where_one_fails),
      cmocka_unit_test(a_round_without_success_rests_longer_each_time),
      cmocka_unit_test(the_sentinel_that_knew_is_asked_first),
      cmocka_unit_test(a_switch_is_followed_once_the_role_agrees),
      cmocka_unit_test(late_reports_change_nothing),
      cmocka_unit_test(most_of_the_configured_sentinels_have_to_agree),
      cmocka_unit_test(a_sentinel_that_sees_trouble_does_not_agree),
      cmocka_unit_test(a_broken_state_is_none),
      cmocka_unit_test(a_sentinel_that_names_another_is_heard),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
