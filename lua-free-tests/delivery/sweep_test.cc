// What leaves the lists of what people are told of without an event that says
// so. The oracle is docs/redis.md.
#include "core/delivery/sweep.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/access/grants.h"
#include "core/base/types.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const std::string kUnmatched = "entitle:live:unmatched";
const std::string kParked = "entitle:live:parked";

// pro for price_pro, gold for price_odd.
const GrantMap& more_grants() {
  static const GrantMap map = [] {
    GrantMap made = grants();
    made.add("gold", *Identifier::parse("price_odd"));
    return made;
  }();
  return map;
}

DeliveryOptions with_more(DeliveryOptions view = options()) {
  view.grants = &more_grants();
  return view;
}

std::string members(const MemoryRedis& redis, const std::string& list) {
  const MemoryRedis::Value* value = redis.find(list);
  if (value == nullptr) return {};
  std::string text;
  for (const auto& [member, score] :
       std::get<MemoryRedis::SortedSet>(*value).scores) {
    text += (text.empty() ? "" : " ") + member;
  }
  return text;
}

void assert_members(const MemoryRedis& redis, const std::string& list,
                    const char* expected) {
  assert_string_equal(members(redis, list).c_str(), expected);
}

// `before(command)` is called before each.
using Before = std::function<void(const Command&)>;

Swept run_sweep(
    MemoryRedis& redis, Conversation<Swept> talk,
    const Before& before = [](const Command&) {}) {
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      before(command);
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  return std::move(talk.result());
}

void buys(MemoryRedis& redis, const std::string& user,
          const std::string& number, const std::string& identifier) {
  std::string event = "evt_" + number;
  std::vector<Claim> claims;
  if (!user.empty()) claims.push_back(user_claim(event, 10, user));
  run(redis,
      entitle::test::deliver(purchase(event, "cus_" + number, "cs_" + number,
                                      std::move(claims), identifier)));
}

// --- what opens nothing
// ---------------------------------------------------------

void a_grant_of_tomorrow_settles_what_was_bought_today(void**) {
  MemoryRedis redis;
  buys(redis, "alice", "1", "price_odd");
  buys(redis, "", "2", "price_odd");
  buys(redis, "bob", "3", "price_other");
  assert_members(redis, kUnmatched, "p:cus_2|cs_2 u:alice|cs_1 u:bob|cs_3");
  Swept swept = run_sweep(redis, sweep_unmatched({options()}, 0));
  assert_int_equal(swept.stay, 3);
  assert_int_equal(swept.gone, 0);
  assert_members(redis, kUnmatched, "p:cus_2|cs_2 u:alice|cs_1 u:bob|cs_3");

  swept = run_sweep(redis, sweep_unmatched({with_more()}, 0));
  assert_string_equal(swept.error.c_str(), "");
  assert_int_equal(swept.stay, 1);
  assert_int_equal(swept.gone, 2);
  assert_true(swept.end);
  assert_members(redis, kUnmatched, "u:bob|cs_3");
}

void one_of_several_servers_that_knows_it_is_enough(void**) {
  for (std::vector<DeliveryOptions> views :
       {std::vector{options(), with_more()}, {with_more(), options()}}) {
    MemoryRedis redis;
    buys(redis, "alice", "1", "price_odd");
    buys(redis, "bob", "2", "price_other");
    run_sweep(redis, sweep_unmatched(views, 0));
    assert_members(redis, kUnmatched, "u:bob|cs_2");
  }
}

void what_is_ignored_by_name_leaves(void**) {
  for (const char* name : {"price_odd", "cs_1", "cus_1"}) {
    MemoryRedis redis;
    buys(redis, "alice", "1", "price_odd");
    buys(redis, "bob", "2", "price_other");
    redis.run({"SADD", "entitle:live:ignored", name});
    run_sweep(redis, sweep_unmatched({options()}, 0));
    assert_members(redis, kUnmatched, "u:bob|cs_2");
  }
}

// All that was paid for is: what else there may be is nobody's to wait for.
void what_is_parked_leaves_when_all_of_it_is_ignored(void**) {
  for (const char* name : {"price_odd", "cs_1", "cus_1"}) {
    MemoryRedis redis;
    buys(redis, "", "1", "price_odd");
    buys(redis, "", "2", "price_other");
    assert_members(redis, kParked, "cus_1 cus_2");
    redis.run({"SADD", "entitle:live:ignored", name});
    Swept swept = run_sweep(redis, sweep_parked({options()}, 0));
    assert_members(redis, kParked, "cus_2");
    assert_int_equal(swept.gone, 1);
    assert_int_equal(swept.stay, 1);
  }
}

// What any of the servers has a grant for is not ignored with what it is sold
// with, neither where it waits for its owner.
void what_one_server_knows_is_ignored_as_a_whole_only(void**) {
  for (std::vector<DeliveryOptions> views :
       {std::vector{options(), with_more()}, {with_more(), options()}}) {
    MemoryRedis redis;
    buys(redis, "", "1", "price_odd");
    redis.run({"SADD", "entitle:live:ignored", "price_odd"});
    run_sweep(redis, sweep_parked(views, 0));
    assert_members(redis, kParked, "cus_1");
    redis.run({"SADD", "entitle:live:ignored", "cs_1"});
    run_sweep(redis, sweep_parked(views, 0));
    assert_members(redis, kParked, "");
  }
}

void what_is_gone_leaves_and_what_cannot_be_read_stays(void**) {
  MemoryRedis redis;
  for (const char* member :
       {"u:nobody|cs_9", "p:cus_gone|cs_9", "u:auth0|7|cs_9", "a note",
        "u:broken|cs_9", "p:broken|cs_9"}) {
    redis.run({"ZADD", kUnmatched, "NX", "5", member});
  }
  redis.run({"SET", "entitle:live:{u:broken}", "x"});
  redis.run({"SET", "entitle:live:{p:broken}", "x"});
  Swept swept = run_sweep(redis, sweep_unmatched({options()}, 0));
  assert_members(redis, kUnmatched, "a note p:broken|cs_9 u:broken|cs_9");
  assert_int_equal(swept.stay, 3);
  assert_int_equal(swept.gone, 3);
  assert_null(redis.find("entitle:live:{u:broken}:quarantine"));
}

Delivered starts(const std::string& user) {
  Delivered delivered =
      purchase("evt_1", "cus_1", "cs_1",
               {about("cs_1", user_claim("evt_1", 10, user)),
                about("sub_1", user_claim("evt_1", 10, user))});
  auto& sessions = delivered.facts.places[0].sources["cs_1"].sessions;
  SessionFact fact = sessions.front();
  fact.subscription_mode = true;
  fact.subscription = "sub_1";
  sessions = {fact};
  return delivered;
}

// Their events come within seconds, in any order.
void a_subscription_that_is_not_heard_of_is_counted_after_a_minute(void**) {
  MemoryRedis redis;
  run(redis, entitle::test::deliver(starts("alice")));
  assert_members(redis, kUnmatched, "u:alice|cs_1");
  DeliveryOptions later = options();
  for (int seconds : {5, 120}) {
    later.now = options().now + std::chrono::seconds(seconds);
    Swept swept = run_sweep(redis, sweep_unmatched({later}, 0));
    assert_int_equal(swept.stay, 1);
    assert_int_equal(swept.awaited, seconds > 60);
  }
  buys(redis, "bob", "2", "price_odd");
  Swept swept = run_sweep(redis, sweep_unmatched({later}, 0));
  assert_int_equal(swept.stay, 2);
  assert_int_equal(swept.awaited, 1);
}

void a_subscription_that_is_somebody_elses_is_not_awaited(void**) {
  MemoryRedis redis;
  run(redis, entitle::test::deliver(starts("alice")));
  assert_members(redis, kUnmatched, "u:alice|cs_1");
  run(redis, entitle::test::deliver(subscribes("evt_2", "sub_1", "org", 20)));
  run_sweep(redis, sweep_unmatched({options()}, 0));
  assert_members(redis, kUnmatched, "");
}

void a_user_with_a_bar_is_found(void**) {
  MemoryRedis redis;
  buys(redis, "auth0|7", "1", "price_odd");
  run_sweep(redis, sweep_unmatched({options()}, 0));
  assert_members(redis, kUnmatched, "u:auth0|7|cs_1");
}

// It is put where it was in the order: when it was first seen does not change.
void what_is_bought_meanwhile_is_put_back(void**) {
  MemoryRedis redis;
  redis.run({"ZADD", kUnmatched, "NX", "5", "u:alice|cs_1"});
  Swept swept = run_sweep(redis, sweep_unmatched({options()}, 0),
                          [&](const Command& command) {
                            if (command.front() != "ZREM") return;
                            buys(redis, "alice", "1", "price_odd");
                          });
  assert_members(redis, kUnmatched, "u:alice|cs_1");
  assert_int_equal(swept.stay, 1);
  assert_int_equal(swept.gone, 0);
  const auto* list = redis.find(kUnmatched);
  assert_string_equal(
      std::get<MemoryRedis::SortedSet>(*list).scores.at("u:alice|cs_1").c_str(),
      "5");
}

void a_long_list_is_looked_through_in_parts(void**) {
  MemoryRedis redis;
  for (std::size_t i = 100; i < 100 + kMostSwept + 8; i++) {
    buys(redis, "user" + std::to_string(i), std::to_string(i),
         i % 2 == 0 ? "price_odd" : "price_other");
  }
  const std::size_t before = redis.commands();
  Swept swept = run_sweep(redis, sweep_unmatched({with_more()}, 0));
  assert_false(swept.end);
  assert_int_equal(swept.stay, kMostSwept / 2);
  assert_int_equal(swept.gone, kMostSwept / 2);
  assert_true(redis.commands() - before < kMostSwept * 6);
  swept = run_sweep(redis, sweep_unmatched({with_more()}, swept.stay));
  assert_true(swept.end);
  assert_int_equal(swept.stay, 4);
  assert_int_equal(swept.gone, 4);
  assert_null(
      std::strstr(members(redis, kUnmatched).c_str(), "u:user100|cs_100"));
  assert_non_null(
      std::strstr(members(redis, kUnmatched).c_str(), "u:user101|cs_101"));
}

void what_Redis_refuses_is_said(void**) {
  MemoryRedis redis;
  redis.run({"SET", kUnmatched, "x"});
  Swept swept = run_sweep(redis, sweep_unmatched({options()}, 0));
  assert_non_null(std::strstr(swept.error.c_str(), "WRONGTYPE"));
  MemoryRedis full;
  full.run({"ZADD", kUnmatched, "NX", "5", "u:nobody|cs_1"});
  full.refuse_writes("OOM no");
  swept = run_sweep(full, sweep_unmatched({options()}, 0));
  assert_string_equal(swept.error.c_str(), "OOM no");
  assert_members(full, kUnmatched, "u:nobody|cs_1");
}

// --- what is nobody's
// -----------------------------------------------------------

void places_that_are_gone_leave_and_those_that_wait_stay(void**) {
  MemoryRedis redis;
  buys(redis, "", "1", "price_pro");
  buys(redis, "alice", "2", "price_pro");
  redis.run({"SET", "entitle:live:{p:cus_broken}", "x"});
  for (const char* place : {"cus_2", "cus_gone", "pi_gone", "cus_broken"}) {
    redis.run({"ZADD", kParked, "NX", "5", place});
  }
  Swept swept = run_sweep(redis, sweep_parked({options()}, 0));
  assert_members(redis, kParked, "cus_1 cus_broken");
  assert_int_equal(swept.stay, 2);
  assert_int_equal(swept.gone, 3);
  assert_true(swept.end);
}

// As versions before listed it.
void a_payment_that_only_says_its_invoice_leaves(void**) {
  MemoryRedis redis;
  Delivered link = purchase("evt_1", "pi_1", "in_1");
  auto& sessions = link.facts.places[0].sources["in_1"].sessions;
  SessionFact fact = sessions.front();
  fact.paid = false;
  fact.identifiers.clear();
  fact.payment_intent = "pi_1";
  sessions = {fact};
  run(redis, entitle::test::deliver(link));
  assert_members(redis, kParked, "");
  redis.run({"ZADD", kParked, "NX", "5", "pi_1"});
  run_sweep(redis, sweep_parked({options()}, 0));
  assert_members(redis, kParked, "");
}

void what_is_parked_meanwhile_is_put_back(void**) {
  MemoryRedis redis;
  redis.run({"ZADD", kParked, "NX", "5", "cus_1"});
  Swept swept = run_sweep(redis, sweep_parked({options()}, 0),
                          [&](const Command& command) {
                            if (command.front() != "ZREM") return;
                            buys(redis, "", "1", "price_pro");
                          });
  assert_members(redis, kParked, "cus_1");
  assert_int_equal(swept.stay, 1);
}

// --- what comes while a list is looked through
// --------------------------------

// One command at a time; MULTI ... EXEC is one for Redis.
template <class Result>
class Steps {
 public:
  Steps(MemoryRedis& redis, Conversation<Result> talk)
      : redis_(redis), talk_(std::move(talk)) {}
  bool done() { return talk_.next() == nullptr; }
  void advance() {
    const std::vector<Command>& commands = talk_.next()->commands;
    bool queues = false;
    do {
      const Command& command = commands.at(replies_.size());
      queues =
          command.front() == "MULTI" || (queues && command.front() != "EXEC");
      replies_.push_back(redis_.run(connection_, command));
    } while (queues);
    if (replies_.size() == commands.size()) {
      talk_.resume(std::exchange(replies_, {}));
    }
  }

 private:
  MemoryRedis& redis_;
  Conversation<Result> talk_;
  MemoryRedis::Connection connection_;
  std::vector<Reply> replies_;
};

struct Listed {
  std::string user, list, member;
  Conversation<Swept> (*sweep)(std::vector<DeliveryOptions>, std::size_t);
};
const Listed kListed[] = {
    {"alice", kUnmatched, "u:alice|cs_1", sweep_unmatched},
    {"", kUnmatched, "p:cus_1|cs_1", sweep_unmatched},
    {"", kParked, "cus_1", sweep_parked}};

bool is_listed(const MemoryRedis& redis, const Listed& what) {
  return members(redis, what.list).find(what.member) != std::string::npos;
}

// It is on the list from before, when there was nothing to it. Wherever the one
// who looks the list through is, and wherever that breaks off, it is listed in
// the end, though who told of it is not asked again.
void what_comes_while_the_list_is_looked_through_is_listed(void**) {
  std::mt19937 random(11);
  for (const Listed& what : kListed) {
    std::size_t crashed = 0;
    for (int run = 0; run < 600; run++) {
      MemoryRedis redis;
      redis.run({"ZADD", what.list, "NX", "5", what.member});
      std::vector<Claim> claims;
      if (!what.user.empty()) claims = {user_claim("evt_1", 10, what.user)};
      const Delivered purchased =
          purchase("evt_1", "cus_1", "cs_1", std::move(claims), "price_odd");
      Steps buying(redis, entitle::test::deliver(purchased));
      Steps sweeping(redis, what.sweep({options()}, 0));
      const unsigned most = random() % 40;
      unsigned steps = 0;
      while (!buying.done() || (!sweeping.done() && steps < most)) {
        bool may_sweep = !sweeping.done() && steps < most;
        if (!buying.done() && (!may_sweep || random() % 2 == 0)) {
          buying.advance();
        } else {
          sweeping.advance();
          steps++;
        }
      }
      crashed += !sweeping.done();
      if (!is_listed(redis, what)) {
        fail_msg("run %d: %s is lost", run, what.member.c_str());
      }
    }
    assert_in_range(crashed, 50, 550);
  }
}

// What is so is on the list at every moment.
void what_stays_is_never_off_the_list(void**) {
  for (const Listed& what : kListed) {
    MemoryRedis redis;
    redis.run({"ZADD", what.list, "NX", "5", what.member});
    bool bought = false;
    auto before = [&](const Command& command) {
      if (bought) assert_true(is_listed(redis, what));
      if (command.front() != "ZREM" || bought) return;
      bought = true;
      buys(redis, what.user, "1", "price_odd");
    };
    Swept swept = run_sweep(redis, what.sweep({options()}, 0), before);
    assert_true(bought);
    assert_true(is_listed(redis, what));
    assert_int_equal(swept.stay, 1);
    assert_int_equal(swept.gone, 0);
  }
}

// Another node may have taken it off.
void who_finds_it_gone_did_not_take_it_off(void**) {
  for (const Listed& what : kListed) {
    MemoryRedis redis;
    redis.run({"ZADD", what.list, "NX", "5", what.member});
    Swept swept = run_sweep(redis, what.sweep({options()}, 0),
                            [&](const Command& command) {
                              if (command.front() != "WATCH") return;
                              redis.run({"ZREM", what.list, what.member});
                            });
    assert_int_equal(swept.stay, 0);
    assert_int_equal(swept.gone, 0);
    assert_string_equal(swept.error.c_str(), "");
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_grant_of_tomorrow_settles_what_was_bought_today),
      cmocka_unit_test(one_of_several_servers_that_knows_it_is_enough),
      cmocka_unit_test(what_is_ignored_by_name_leaves),
      cmocka_unit_test(what_is_parked_leaves_when_all_of_it_is_ignored),
      cmocka_unit_test(what_one_server_knows_is_ignored_as_a_whole_only),
      cmocka_unit_test(what_is_gone_leaves_and_what_cannot_be_read_stays),
      cmocka_unit_test(
          a_subscription_that_is_not_heard_of_is_counted_after_a_minute),
      cmocka_unit_test(a_subscription_that_is_somebody_elses_is_not_awaited),
      cmocka_unit_test(a_user_with_a_bar_is_found),
      cmocka_unit_test(what_is_bought_meanwhile_is_put_back),
      cmocka_unit_test(a_long_list_is_looked_through_in_parts),
      cmocka_unit_test(what_Redis_refuses_is_said),
      cmocka_unit_test(places_that_are_gone_leave_and_those_that_wait_stay),
      cmocka_unit_test(a_payment_that_only_says_its_invoice_leaves),
      cmocka_unit_test(what_is_parked_meanwhile_is_put_back),
      cmocka_unit_test(what_comes_while_the_list_is_looked_through_is_listed),
      cmocka_unit_test(what_stays_is_never_off_the_list),
      cmocka_unit_test(who_finds_it_gone_did_not_take_it_off),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
