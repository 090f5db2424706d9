// What one delivery after another does to Redis. Deliveries at the same moment:
// delivery_interleaving_property_test.cc.
#include "core/delivery/delivery.h"

#include <climits>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/delivery/outcome.h"
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

const std::string kAlice = "entitle:live:{u:alice}";
const std::string kBob = "entitle:live:{u:bob}";
const std::string kCustomer = "entitle:live:{p:cus_1}";
const std::string kFirstVersion = std::to_string(kNow * 1000);

void assert_outcome(const DeliveryResult& result, Outcome outcome) {
  assert_string_equal(std::string(name(result.outcome)).c_str(),
                      std::string(name(outcome)).c_str());
}

DeliveryResult tell(MemoryRedis& redis, const Delivered& event) {
  return run(redis, entitle::test::deliver(event));
}

Delivered alice_buys() {
  return purchase("evt_1", "cus_1", "cs_1", {user_claim("evt_1", 10, "alice")});
}

std::string field(const MemoryRedis& redis, const std::string& key,
                  const std::string& name) {
  return redis.field(key, name).value_or("(none)");
}

std::vector<std::string> list_of(const MemoryRedis& redis,
                                 const std::string& key) {
  const MemoryRedis::Value* value = redis.find(key);
  if (value == nullptr) return {};
  return std::get<MemoryRedis::List>(*value);
}

bool is_parked(const MemoryRedis& redis, const std::string& place) {
  const MemoryRedis::Value* value = redis.find("entitle:live:parked");
  if (value == nullptr) return false;
  return std::get<MemoryRedis::SortedSet>(*value).scores.contains(place);
}

// The members of the index, each on a line.
std::string unmatched(const MemoryRedis& redis) {
  const MemoryRedis::Value* value = redis.find("entitle:live:unmatched");
  if (value == nullptr) return {};
  std::string text;
  for (const auto& [member, score] :
       std::get<MemoryRedis::SortedSet>(*value).scores) {
    text += text.empty() ? "" : "\n";
    text += member;
  }
  return text;
}

void purchase_with_a_user_unlocks_at_once(void**) {
  MemoryRedis redis;
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::applied);
  assert_string_equal(result.user->str().c_str(), "alice");
  assert_int_equal(result.unlocks.size(), 1);
  assert_string_equal(result.unlocks[0].c_str(), "pro");
  assert_true(result.before.empty());
  assert_int_equal(result.after.size(), 1);
  assert_int_equal(result.version, kNow * 1000);

  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      kFirstVersion.c_str());
  assert_string_equal(field(redis, kAlice, "updated").c_str(),
                      std::to_string(kNow).c_str());
  assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "1 live");
}

void settled_place_only_forwards(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:alice");
  assert_string_equal(field(redis, kCustomer, "holders").c_str(),
                      "[\"u:alice\"]");
  assert_string_equal(field(redis, kCustomer, "epoch").c_str(), "1");
  assert_string_equal(field(redis, kCustomer, "source:cs_1").c_str(), "(none)");
  assert_string_equal(
      field(redis, kCustomer, "claims").c_str(),
      R"([{"by":"client_reference","at":10,"event":"evt_1","to":"u:alice"}])");
}

std::size_t round_trips(MemoryRedis& redis, const Delivered& delivered,
                        Outcome outcome) {
  Player player(redis, entitle::test::deliver(delivered));
  player.finish();
  assert_outcome(player.result(), outcome);
  return player.steps();
}

void event_for_a_settled_place_takes_three_round_trips(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  const bool one_server = options().one_server;
  assert_int_equal(
      round_trips(redis, purchase("evt_2", "cus_1", "cs_2"), Outcome::applied),
      one_server ? 3 : 4);
}

// Whatever it is about: the payment and the session that are part of the
// customer, the customer, an e-mail, the record, the log, the keys to look up.
void event_that_names_its_user_takes_two_round_trips(void**) {
  auto buys = [](const std::string& event, const std::string& session) {
    Delivered delivered = purchase(event, "cus_1", session);
    delivered.facts.places[0].claims = {
        about(session, user_claim(event, 10, "alice"))};
    also_forwards(delivered, "pi_of_" + session, "cus_1");
    also_forwards(delivered, session, "cus_1");
    says_email(delivered, "a@example.com");
    return delivered;
  };
  MemoryRedis redis;
  for (const char* session : {"cs_1", "cs_2"}) {
    Delivered event = buys("evt_of_" + std::string(session), session);
    assert_int_equal(round_trips(redis, event, Outcome::applied), 2);
    assert_int_equal(round_trips(redis, event, Outcome::duplicate), 2);
  }
  assert_int_equal(round_trips(redis, subscribes("evt_3", "sub_1", "alice", 10),
                               Outcome::applied),
                   2);
  assert_int_equal(round_trips(redis, subscribes("evt_4", "sub_1", "alice", 40),
                               Outcome::applied),
                   2);
}

// It is listed until its subscription comes: whether it is ignored is asked
// with all that is read.
void what_is_awaited_takes_no_round_trip_more(void**) {
  Delivered session =
      purchase("evt_1", "cus_1", "cs_1",
               {about("cs_1", user_claim("evt_1", 10, "alice"))});
  auto& facts = session.facts.places[0].sources["cs_1"].sessions;
  SessionFact fact = facts.front();
  fact.subscription_mode = true;
  fact.subscription = "sub_1";
  facts = {fact};
  MemoryRedis redis;
  assert_int_equal(round_trips(redis, session, Outcome::applied), 2);
  assert_int_equal(round_trips(redis, session, Outcome::duplicate), 2);
  assert_int_equal(round_trips(redis, subscribes("evt_2", "sub_1", "alice", 10),
                               Outcome::applied),
                   2);
}

// Nobody's yet, and whether it is ignored is asked between.
void first_event_takes_three_round_trips_at_most(void**) {
  MemoryRedis redis;
  assert_int_equal(
      round_trips(redis, purchase("evt_1", "cus_1", "cs_1"), Outcome::parked),
      3);
  assert_int_equal(round_trips(redis, subscribes("evt_2", "sub_1", "alice"),
                               Outcome::applied),
                   2);
  assert_false(is_parked(redis, "cus_1"));
  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  Delivered odd = purchase("evt_3", "cus_1", "cs_3", {}, "price_odd");
  odd.facts.places[0].claims = {about("cs_3", user_claim("evt_3", 5, "alice"))};
  assert_int_equal(round_trips(redis, odd, Outcome::unmatched), 3);
}

void event_without_a_user_waits_in_its_place(void**) {
  MemoryRedis redis;
  DeliveryResult result = tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  assert_outcome(result, Outcome::parked);
  assert_false(result.user.has_value());
  assert_true(result.unlocks.empty());
  assert_true(redis.field(kCustomer, "source:cs_1").has_value());
  assert_true(is_parked(redis, "cus_1"));

  result = tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  assert_outcome(result, Outcome::parked);
}

void claim_brings_what_waited(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  DeliveryResult result =
      tell(redis,
           purchase("evt_2", "cus_1", "", {user_claim("evt_2", 20, "alice")}));
  assert_outcome(result, Outcome::applied);
  assert_string_equal(result.unlocks.at(0).c_str(), "pro");
  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  assert_false(redis.field(kCustomer, "source:cs_1").has_value());
  assert_false(is_parked(redis, "cus_1"));
}

void duplicate_changes_nothing(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  std::string before = redis.dump();
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::duplicate);
  assert_string_equal(result.unlocks.at(0).c_str(), "pro");
  assert_string_equal(redis.dump().c_str(), before.c_str());
}

void duplicate_is_a_write_when_replicas_must_confirm_it(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  DeliveryOptions later = options();
  later.touch_duplicates = true;
  later.now += std::chrono::seconds(60);
  Delivered event = alice_buys();
  DeliveryResult result =
      run(redis, entitle::deliver(event.facts, event.head, later));
  assert_outcome(result, Outcome::duplicate);
  assert_string_equal(field(redis, kAlice, "updated").c_str(),
                      std::to_string(kNow + 60).c_str());
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      kFirstVersion.c_str());
}

void duplicate_of_what_was_parked_belongs_to_its_user_now(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "alice")}));
  assert_outcome(tell(redis, purchase("evt_1", "cus_1", "cs_1")),
                 Outcome::duplicate);
  assert_string_equal(
      std::get<std::string>(*redis.find("entitle:live:event:evt_1")).c_str(),
      R"({"outcome":"applied","place":"cus_1","user":"alice"})");
}

void duplicate_amid_a_broken_off_move_is_a_duplicate(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  {
    Player mover(redis, entitle::test::deliver(
                            purchase("evt_2", "cus_1", "cs_2",
                                     {user_claim("evt_2", 20, "bob")})));
    while (field(redis, kCustomer, "epoch") == "1") mover.advance();
  }
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::duplicate);
  assert_string_equal(result.user->str().c_str(), "bob");
  assert_true(redis.field(kBob, "source:cs_1").has_value());
}

// One settles for an owner that is no more while the next has filled a record
// and a third claims: all who may hold something must stay known.
void late_finish_forgets_no_holder(void**) {
  for (int i = 0; i < 16; i++) {
    for (int j = 0; j < 16; j++) {
      MemoryRedis redis;
      Player one(redis, entitle::test::deliver(alice_buys()));
      for (int n = 0; n < i && !one.done(); n++) one.advance();
      Player two(redis, entitle::test::deliver(
                            purchase("evt_2", "cus_1", "cs_2",
                                     {user_claim("evt_2", 20, "bob")})));
      for (int n = 0; n < j && !two.done(); n++) two.advance();
      one.finish();
      tell(redis, purchase("evt_3", "cus_1", "cs_3",
                           {user_claim("evt_3", 30, "carol")}));
      two.finish();
      for (const char* id : {"source:cs_1", "source:cs_2", "source:cs_3"}) {
        assert_false(redis.field(kAlice, id).has_value());
        assert_false(redis.field(kBob, id).has_value());
        assert_true(redis.field("entitle:live:{u:carol}", id).has_value());
      }
    }
  }
}

// A place that has something to hand over is not settled before it did.
void part_with_facts_is_settled_only_when_they_are_passed_on(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "pi_1", "pi_1"));
  Delivered session = alice_buys();
  also_forwards(session, "pi_1", "cus_1");
  const std::string payment = "entitle:live:{p:pi_1}";
  Player player(redis, entitle::test::deliver(session));
  while (!player.done()) {
    bool waits = redis.field(payment, "source:pi_1").has_value();
    assert_false(waits && redis.field(payment, "to").has_value());
    player.advance();
  }
  assert_string_equal(field(redis, payment, "to").c_str(), "p:cus_1");
}

void event_that_leaves_nothing_is_superseded(void**) {
  MemoryRedis redis;
  Delivered first = alice_buys();
  first.facts.places[0].sources.clear();
  Source& source = first.facts.places[0].sources["cus_1"];
  source.deleted = {"evt_1", unix_time(20)};
  tell(redis, first);
  Delivered second = first;  // nobody is deleted twice
  second.head.id = "evt_2";
  second.facts.places[0].sources["cus_1"].deleted = {"evt_2", unix_time(30)};
  assert_outcome(tell(redis, second), Outcome::superseded);
}

void purchase_no_grant_knows_is_unmatched_and_named(void**) {
  MemoryRedis redis;
  DeliveryResult result = tell(
      redis, purchase("evt_1", "cus_1", "cs_1",
                      {user_claim("evt_1", 10, "alice")}, "price_unheard"));
  assert_outcome(result, Outcome::unmatched);
  assert_int_equal(result.unmatched.size(), 1);
  assert_string_equal(result.unmatched[0].str().c_str(), "price_unheard");
  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  assert_string_equal(unmatched(redis).c_str(), "u:alice|cs_1");
}

Delivered odd(const std::string& event, const std::string& source,
              std::vector<Claim> claims = {}) {
  return purchase(event, "cus_1", source, std::move(claims), "price_odd");
}

template <class Change>
void change(Delivered& event, Change change) {
  auto& sessions = event.facts.places[0].sources.at("cs_1").sessions;
  SessionFact fact = sessions.front();
  change(fact);
  sessions = {fact};
}

Delivered alice_buys_odd() {
  return odd("evt_1", "cs_1", {user_claim("evt_1", 10, "alice")});
}

// The commonest case: Stripe's webhook of a payment has no line items.
void purchase_that_carries_nothing_is_unmatched(void**) {
  MemoryRedis redis;
  Delivered event = alice_buys();
  change(event, [](SessionFact& fact) { fact.identifiers.clear(); });
  DeliveryResult result = tell(redis, event);
  assert_outcome(result, Outcome::unmatched);
  assert_true(result.opens_nothing);
  assert_true(result.unmatched.empty());
  assert_string_equal(unmatched(redis).c_str(), "u:alice|cs_1");
  // Told again it is a duplicate, and stays.
  assert_outcome(tell(redis, event), Outcome::duplicate);
  assert_string_equal(unmatched(redis).c_str(), "u:alice|cs_1");
}

void what_is_not_effective_is_not_unmatched(void**) {
  MemoryRedis redis;
  Delivered event = alice_buys_odd();
  change(event, [](SessionFact& fact) { fact.paid = false; });
  assert_outcome(tell(redis, event), Outcome::applied);
  assert_string_equal(unmatched(redis).c_str(), "");
}

void one_that_is_matched_costs_no_more_than_before(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  assert_null(redis.find("entitle:live:unmatched"));
}

void refund_takes_it_out_of_the_index(void**) {
  MemoryRedis redis;
  Delivered event = alice_buys_odd();
  change(event, [](SessionFact& fact) { fact.payment_intent = "pi_1"; });
  tell(redis, event);
  Delivered refund = purchase("evt_2", "cus_1", "");
  Source& payment = refund.facts.places[0].sources["pi_1"];
  RefundFact fact;
  fact.event = "evt_2";
  fact.created = unix_time(kNow);
  fact.id = "ch_1";
  fact.of_charge = fact.full = true;
  payment.refunds.insert(fact);
  assert_outcome(tell(redis, refund), Outcome::applied);
  assert_string_equal(unmatched(redis).c_str(), "");
}

void what_waits_for_a_user_is_indexed_by_its_place(void**) {
  MemoryRedis redis;
  assert_outcome(tell(redis, odd("evt_1", "cs_1")), Outcome::parked);
  assert_string_equal(unmatched(redis).c_str(), "p:cus_1|cs_1");
  tell(redis,
       purchase("evt_2", "cus_1", "", {user_claim("evt_2", 20, "alice")}));
  assert_string_equal(unmatched(redis).c_str(), "u:alice|cs_1");
}

// Who is about to take it off, having seen nothing of the kind, must not.
void what_is_listed_already_is_told_to_the_list_again(void**) {
  for (const char* list : {"entitle:live:unmatched", "entitle:live:parked"}) {
    MemoryRedis redis;
    Delivered event = odd("evt_1", "cs_1");
    tell(redis, event);
    MemoryRedis::Connection taking_off;
    redis.run(taking_off, {"WATCH", list});
    assert_outcome(tell(redis, event), Outcome::parked);
    assert_false(redis.watch_holds(taking_off));
  }
}

// Captured by hand: the session came unpaid, and the payment pays for it.
void a_payment_for_what_opens_nothing_is_unmatched(void**) {
  for (const char* price : {"price_odd", "price_pro"}) {
    MemoryRedis redis;
    Delivered session = purchase("evt_1", "cus_1", "cs_1",
                                 {user_claim("evt_1", 10, "alice")}, price);
    change(session, [](SessionFact& fact) {
      fact.paid = false;
      fact.payment_intent = "pi_1";
    });
    assert_outcome(tell(redis, session), Outcome::applied);
    Delivered captured = purchase("evt_2", "cus_1", "");
    SessionFact paid;
    paid.event = "evt_2";
    paid.created = unix_time(kNow);
    paid.payment_intent = "pi_1";
    paid.paid = true;
    captured.facts.places[0].sources["pi_1"].sessions.insert(paid);
    DeliveryResult result = tell(redis, captured);
    bool odd = std::string(price) == "price_odd";
    assert_outcome(result, odd ? Outcome::unmatched : Outcome::applied);
    assert_int_equal(result.unmatched.size(), odd ? 1 : 0);
    assert_int_equal(result.unlocks.size(), odd ? 0 : 1);
  }
}

// Whoever pays twice is told of each by itself.
void what_another_purchase_opens_is_no_matter(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys_odd());
  DeliveryResult result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_outcome(result, Outcome::applied);
  assert_true(result.unmatched.empty());
}

void a_claim_of_what_opens_nothing_is_unmatched(void**) {
  MemoryRedis redis;
  tell(redis, odd("evt_1", "cs_1"));
  Delivered claim =
      purchase("evt_2", "cus_1", "", {user_claim("evt_2", 20, "alice")});
  DeliveryResult result = tell(redis, claim);
  assert_outcome(result, Outcome::unmatched);
  assert_int_equal(result.unmatched.size(), 1);
  // What was there before, this event did not bring.
  result = tell(redis, purchase("evt_3", "cus_1", "",
                                {user_claim("evt_3", 30, "alice")}));
  assert_outcome(result, Outcome::applied);
}

void what_moves_is_indexed_where_it_is(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys_odd());
  tell(redis, purchase("evt_2", "cus_1", "", {user_claim("evt_2", 20, "bob")}));
  assert_string_equal(unmatched(redis).c_str(), "u:bob|cs_1");
}

void what_is_ignored_by_name_is_applied(void**) {
  for (const char* name : {"price_odd", "cus_1", "cs_1"}) {
    MemoryRedis redis;
    redis.run({"SADD", "entitle:live:ignored", name});
    DeliveryResult result = tell(redis, alice_buys_odd());
    assert_outcome(result, Outcome::applied);
    assert_true(result.waved_through);
    assert_true(result.unmatched.empty());
    assert_string_equal(unmatched(redis).c_str(), "");
  }
}

void an_account_can_be_ignored(void**) {
  MemoryRedis redis;
  redis.run({"SADD", "entitle:live:ignored", "acct_9"});
  DeliveryResult result = tell(
      redis, purchase("evt_1", "acct_9/cus_1", "acct_9/cs_1",
                      {user_claim("evt_1", 10, "alice")}, "acct_9/price_odd"));
  assert_outcome(result, Outcome::applied);
  assert_string_equal(unmatched(redis).c_str(), "");
}

void an_index_that_cannot_be_written_is_said(void**) {
  MemoryRedis redis;
  redis.run({"SET", "entitle:live:unmatched", "x"});
  DeliveryResult result = tell(redis, alice_buys_odd());
  assert_outcome(result, Outcome::unmatched);
  assert_non_null(strstr(result.error.c_str(), "WRONGTYPE"));
}

void a_list_of_what_is_parked_that_cannot_be_written_is_said(void**) {
  MemoryRedis redis;
  redis.run({"SET", "entitle:live:parked", "x"});
  DeliveryResult result = tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  assert_outcome(result, Outcome::parked);
  const char* said =
      options().one_server ? "lists of what waits" : "list of what is parked";
  assert_non_null(strstr(result.error.c_str(), said));
  assert_non_null(strstr(result.error.c_str(), "WRONGTYPE"));
  assert_true(result.list_failed);
}

void newer_explicit_claim_moves_everything(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  DeliveryResult result = tell(
      redis,
      purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "bob")}));
  assert_outcome(result, Outcome::applied);
  assert_true(result.owner_changed);
  assert_string_equal(result.user->str().c_str(), "bob");
  assert_true(redis.field(kBob, "source:cs_1").has_value());
  assert_true(redis.field(kBob, "source:cs_2").has_value());
  assert_string_equal(field(redis, kBob, "place:cus_1").c_str(), "2 live");
  assert_false(redis.field(kAlice, "source:cs_1").has_value());
  assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "2 gone");
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      std::to_string(kNow * 1000 + 1).c_str());
  assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:bob");
}

void move_is_logged_in_both_records(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "bob")}));
  std::string bob = list_of(redis, kBob + ":log").at(0);
  std::string alice = list_of(redis, kAlice + ":log").at(0);
  assert_non_null(strstr(bob.c_str(), R"("moved_from":["u:alice"])"));
  assert_non_null(strstr(alice.c_str(), R"("moved_to":"u:bob")"));
  assert_non_null(
      strstr(alice.c_str(), R"("before":["price_pro"],"after":[])"));
}

void older_claim_that_comes_late_changes_no_owner(void**) {
  MemoryRedis redis;
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "bob")}));
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::applied);
  assert_false(result.owner_changed);
  assert_string_equal(result.user->str().c_str(), "bob");
  assert_null(redis.find(kAlice));
}

void log_says_what_changed(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  std::string expected =
      R"({"time":1750000000,"event":"evt_1",)"
      R"("type":"checkout.session.completed","outcome":"applied",)"
      R"("place":"cus_1","before":[],"after":["price_pro"],"version":)" +
      kFirstVersion + "}";
  assert_string_equal(list_of(redis, kAlice + ":log").at(0).c_str(),
                      expected.c_str());
}

void log_keeps_the_newest_hundred(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  for (int i = 2; i < 130; i++) {
    std::string n = std::to_string(i);
    tell(redis, purchase("evt_" + n, "cus_1", "cs_" + n));
  }
  assert_int_equal(list_of(redis, kAlice + ":log").size(), 100);
}

// Whoever may write to Redis may have written this. A sanitizer watches.
void version_that_cannot_rise_keeps_nobody_out(void**) {
  MemoryRedis redis;
  redis.run({"HSET", kAlice, "version", "9223372036854775807"});
  DeliveryResult result = tell(redis, alice_buys());
  assert_true(result.outcome == Outcome::applied);
  assert_int_equal(result.after.size(), 1);
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      "9223372036854775807");
}

void version_rises_only_when_identifiers_change(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      kFirstVersion.c_str());
  DeliveryResult result =
      tell(redis, purchase("evt_3", "cus_1", "cs_3", {}, "price_extra"));
  assert_int_equal(result.version, kNow * 1000 + 1);
  assert_string_equal(field(redis, kAlice, "version").c_str(),
                      std::to_string(result.version).c_str());
}

void fields_of_others_stay(void**) {
  MemoryRedis redis;
  redis.run({"HSET", kAlice, "version", "7", "plan_of_the_app", "gold"});
  DeliveryResult result = tell(redis, alice_buys());
  assert_int_equal(result.version, 8);
  assert_string_equal(field(redis, kAlice, "version").c_str(), "8");
  assert_string_equal(field(redis, kAlice, "plan_of_the_app").c_str(), "gold");
}

void refund_before_its_purchase_finds_it(void**) {
  MemoryRedis redis;
  Delivered refund = purchase("evt_1", "pi_1", "pi_1");
  refund.facts.places[0].sources["pi_1"] = Source();
  refund.facts.places[0].sources["pi_1"].refunds = {
      RefundFact{"evt_1", unix_time(30), "ch_1", true, true, false}};
  assert_outcome(tell(redis, refund), Outcome::parked);
  // Nobody lost anything by it.
  assert_false(is_parked(redis, "pi_1"));

  Delivered session = alice_buys();
  auto& sessions = session.facts.places[0].sources["cs_1"].sessions;
  SessionFact paid = sessions[0];
  paid.payment_intent = "pi_1";
  sessions = {paid};
  also_forwards(session, "pi_1", "cus_1");
  DeliveryResult result = tell(redis, session);
  assert_outcome(result, Outcome::applied);
  assert_true(result.unlocks.empty());
  assert_true(redis.field(kAlice, "source:pi_1").has_value());
  const std::string payment = "entitle:live:{p:pi_1}";
  assert_string_equal(field(redis, payment, "to").c_str(), "p:cus_1");
  assert_false(redis.field(payment, "source:pi_1").has_value());
  assert_false(is_parked(redis, "pi_1"));
  assert_false(is_parked(redis, "cus_1"));

  assert_outcome(tell(redis, refund), Outcome::duplicate);
}

constexpr std::int64_t k540Days = 540 * 24 * 3600;

void a_payments_place_lives_540_days_after_each_event(void**) {
  MemoryRedis redis;
  const std::string session = "entitle:live:{p:cs_1}";
  tell(redis,
       purchase("evt_1", "cs_1", "cs_1", {user_claim("evt_1", 10, "alice")}));
  assert_true(redis.ttl(session) == k540Days);
  // Also where the event goes straight to the record, or is a duplicate.
  for (const char* event : {"evt_2", "evt_2"}) {
    redis.run({"EXPIRE", session, "100"});
    tell(redis, purchase(event, "cs_1", "cs_2"));
    assert_true(redis.ttl(session) == k540Days);
  }
  tell(redis, alice_buys());
  assert_false(redis.ttl(kCustomer).has_value());
}

void what_a_full_record_cannot_take_waits_and_ends_are_taken(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  Source big;
  big.place = "cus_1";
  big.unknown.keep("note", '"' + std::string(9 << 20, 'x') + '"');
  redis.run({"HSET", kAlice, "source:sub_big", big.encode()});

  DeliveryResult result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_outcome(result, Outcome::parked);
  assert_non_null(std::strstr(result.error.c_str(), "is full"));
  assert_true(is_parked(redis, "cus_1"));
  assert_true(redis.field(kCustomer, "source:cs_2").has_value());

  Delivered refund =
      purchase("evt_3", "cus_2", "pi_1", {user_claim("evt_3", 11, "alice")});
  refund.facts.places[0].sources["pi_1"] = Source();
  refund.facts.places[0].sources["pi_1"].refunds = {
      RefundFact{"evt_3", unix_time(kNow), "ch_1", true, true, false}};
  assert_outcome(tell(redis, refund), Outcome::applied);

  redis.run({"HDEL", kAlice, "source:sub_big"});
  tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_true(redis.field(kAlice, "source:cs_2").has_value());
  assert_false(is_parked(redis, "cus_1"));
}

void claims_of_a_part_count_for_the_whole(void**) {
  MemoryRedis redis;
  tell(redis,
       purchase("evt_1", "cs_1", "cs_1", {user_claim("evt_1", 10, "alice")}));
  Delivered link = purchase("evt_2", "cus_1", "cs_2");
  also_forwards(link, "cs_1", "cus_1");
  DeliveryResult result = tell(redis, link);
  assert_outcome(result, Outcome::applied);
  assert_string_equal(result.user->str().c_str(), "alice");
  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  assert_string_equal(field(redis, kAlice, "place:cs_1").c_str(), "2 gone");
  assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "1 live");
}

void place_learns_of_a_second_whole_and_gives_it_all(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "pi_1", "pi_1"));
  Delivered first = purchase("evt_2", "cus_1", "cs_2");
  also_forwards(first, "pi_1", "cus_1");
  tell(redis, first);
  Delivered second =
      purchase("evt_3", "cs_3", "cs_3", {user_claim("evt_3", 30, "alice")});
  also_forwards(second, "pi_1", "cs_3");
  tell(redis, second);
  assert_true(redis.field(kAlice, "source:pi_1").has_value());
}

void place_keeps_what_it_passed_on_for_a_second_whole(void**) {
  MemoryRedis redis;
  Delivered first = purchase("evt_1", "cus_1", "cs_1");
  also_forwards(first, "pi_1", "cus_1");
  tell(redis, first);
  tell(redis, purchase("evt_2", "pi_1", "pi_1"));
  Delivered second =
      purchase("evt_3", "cs_3", "cs_3", {user_claim("evt_3", 30, "alice")});
  also_forwards(second, "pi_1", "cs_3");
  tell(redis, second);
  assert_true(redis.field(kAlice, "source:pi_1").has_value());
}

void second_whole_gets_all_though_its_link_broke_off(void**) {
  Delivered first = purchase("evt_1", "cus_1", "cs_1");
  also_forwards(first, "pi_1", "cus_1");
  Delivered second =
      purchase("evt_3", "cs_3", "cs_3", {user_claim("evt_3", 30, "alice")});
  also_forwards(second, "pi_1", "cs_3");
  for (int i = 0; i < 30; i++) {
    for (int j = 0; j < 30; j++) {
      MemoryRedis redis;
      tell(redis, purchase("evt_2", "pi_1", "pi_1"));
      Player one(redis, entitle::test::deliver(first));
      for (int n = 0; n < i && !one.done(); n++) one.advance();
      {
        Player two(redis, entitle::test::deliver(second));
        for (int n = 0; n < j && !two.done(); n++) two.advance();
      }
      one.finish();
      tell(redis, second);
      assert_true(redis.field(kAlice, "source:pi_1").has_value());
    }
  }
}

void customer_is_part_of_nothing(void**) {
  MemoryRedis redis;
  Delivered event = alice_buys();
  also_forwards(event, "cus_1", "cus_2");
  assert_outcome(tell(redis, event), Outcome::applied);
  assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:alice");
}

void unreadable_record_is_copied_and_the_event_kept(void**) {
  for (bool settled_before : {false, true}) {
    MemoryRedis redis;
    if (settled_before) {
      tell(redis, purchase("evt_0", "cus_1", "cs_0",
                           {user_claim("evt_0", 5, "alice")}));
    }
    redis.run({"DEL", kAlice});
    redis.run({"SET", kAlice, "oops"});
    DeliveryResult result = tell(redis, alice_buys());
    assert_outcome(result, Outcome::parked);
    assert_non_null(strstr(result.error.c_str(), "cannot be read"));
    assert_string_equal(std::get<std::string>(*redis.find(kAlice)).c_str(),
                        "oops");
    assert_non_null(redis.find(kAlice + ":quarantine"));
    assert_true(redis.field(kCustomer, "source:cs_1").has_value());
    assert_false(redis.field(kCustomer, "to").has_value());
    assert_true(is_parked(redis, "cus_1"));

    redis.run({"DEL", kAlice});
    result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
    assert_outcome(result, Outcome::applied);
    assert_true(redis.field(kAlice, "source:cs_1").has_value());
    assert_false(is_parked(redis, "cus_1"));
  }
}

// Its facts are kept in the place although somebody else is just settling it.
void unreadable_record_loses_nothing_to_a_delivery_at_work(void**) {
  for (int when = 0; when < 12; when++) {
    MemoryRedis redis;
    Player player(redis, entitle::test::deliver(alice_buys()));
    for (int i = 0; i < when && !player.done(); i++) player.advance();
    redis.run({"DEL", kAlice});
    redis.run({"SET", kAlice, "oops"});
    tell(redis, purchase("evt_2", "cus_1", "cs_2"));
    redis.run({"DEL", kAlice});
    player.finish();
    bool kept = redis.field(kCustomer, "source:cs_2").has_value() ||
                redis.field(kAlice, "source:cs_2").has_value();
    assert_true(kept);
  }
}

void corrupt_source_makes_a_record_unreadable(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  redis.run({"HSET", kAlice, "source:cs_1", "{"});
  DeliveryResult result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_outcome(result, Outcome::parked);
  assert_string_equal(field(redis, kAlice, "source:cs_1").c_str(), "{");
}

void unreadable_place_is_moved_aside_and_the_event_kept(void**) {
  for (const Command& damage :
       std::vector<Command>{{"SET", kCustomer, "oops"},
                            {"HSET", kCustomer, "claims", "["},
                            {"HSET", kCustomer, "epoch", "-1"}}) {
    MemoryRedis redis;
    redis.run(damage);
    DeliveryResult result = tell(redis, alice_buys());
    assert_outcome(result, Outcome::applied);
    assert_false(result.error.empty());
    assert_non_null(redis.find(kCustomer + ":quarantine"));
    assert_true(redis.field(kAlice, "source:cs_1").has_value());
  }
}

// It may be what somebody paid for, and was answered 2xx.
void what_was_set_aside_before_stays(void**) {
  MemoryRedis redis;
  const std::string aside = kCustomer + ":quarantine";
  tell(redis, purchase("evt_0", "cus_1", "cs_0"));
  redis.run({"HSET", kCustomer, "claims", "["});
  tell(redis, purchase("evt_1", "cus_1", "cs_1"));
  assert_true(redis.field(aside, "source:cs_0").has_value());
  redis.run({"HSET", kCustomer, "claims", "["});
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::applied);
  assert_true(redis.field(aside, "source:cs_0").has_value());
  const std::size_t named = result.error.find(aside + ":");
  assert_true(named != std::string::npos);
  assert_true(
      redis.field(result.error.substr(named), "source:cs_1").has_value());

  redis.run({"SET", kAlice + ":quarantine", "kept"});
  redis.run({"DEL", kAlice});
  redis.run({"SET", kAlice, "oops"});
  tell(redis, purchase("evt_3", "cus_1", "cs_3"));
  assert_string_equal(
      std::get<std::string>(*redis.find(kAlice + ":quarantine")).c_str(),
      "kept");
}

void refused_write_is_not_stored(void**) {
  MemoryRedis redis;
  redis.refuse_writes("READONLY You can't write against a read only replica.");
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::not_stored);
  assert_non_null(strstr(result.error.c_str(), "READONLY"));
  assert_true(redis.keys().empty());
}

void refusal_at_any_moment_is_mended_by_the_next_delivery(void**) {
  for (int when = 0; when < 12; when++) {
    MemoryRedis redis;
    Player player(redis, entitle::test::deliver(alice_buys()));
    for (int i = 0; i < when && !player.done(); i++) player.advance();
    redis.refuse_writes("OOM command not allowed");
    player.finish();
    redis.refuse_writes("");
    tell(redis, alice_buys());
    assert_true(redis.field(kAlice, "source:cs_1").has_value());
    assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:alice");
    assert_false(redis.field(kCustomer, "source:cs_1").has_value());
  }
}

void conflicts_without_end_are_not_stored(void**) {
  MemoryRedis redis;
  Conversation<DeliveryResult> talk = entitle::test::deliver(alice_buys());
  std::chrono::milliseconds longest{0};
  int steps = 0;
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    longest = std::max(longest, step->pause);
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      redis.run({"HSET", step->key, "disturbance", std::to_string(steps)});
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
    assert_true(++steps < 200);
  }
  assert_outcome(talk.result(), Outcome::not_stored);
  assert_true(longest > std::chrono::milliseconds(1));
  assert_true(longest <= std::chrono::milliseconds(20));
}

void deleted_record_is_made_anew(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  redis.run({"DEL", kAlice});
  DeliveryResult result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_outcome(result, Outcome::applied);
  assert_true(redis.field(kAlice, "source:cs_2").has_value());
  assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "1 live");
}

void lost_place_catches_up_with_its_records(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "bob")}));
  redis.run({"DEL", kCustomer});
  DeliveryResult result = tell(
      redis,
      purchase("evt_3", "cus_1", "cs_3", {user_claim("evt_3", 30, "bob")}));
  assert_outcome(result, Outcome::applied);
  assert_string_equal(field(redis, kCustomer, "epoch").c_str(), "3");
  assert_string_equal(field(redis, kBob, "place:cus_1").c_str(), "3 live");
  assert_true(redis.field(kBob, "source:cs_3").has_value());
}

void places_that_are_no_customers_expire(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "cs_1", "cs_1"));
  tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_int_equal(*redis.ttl("entitle:live:{p:cs_1}"), 540 * 86400);
  assert_false(redis.ttl(kCustomer).has_value());
}

void event_can_be_looked_up(void**) {
  MemoryRedis redis;
  tell(redis, purchase("evt_1", "acct_1/cus_1", "cs_1"));
  assert_string_equal(
      std::get<std::string>(*redis.find("entitle:live:event:evt_1")).c_str(),
      R"({"outcome":"parked","place":"acct_1/cus_1"})");
  assert_int_equal(*redis.ttl("entitle:live:event:evt_1"), 35 * 86400);
}

void places_of_an_email_can_be_looked_up(void**) {
  MemoryRedis redis;
  const std::string key = "entitle:live:email:a@example.com";
  redis.run({"SADD", key, "cus_0"});
  redis.run({"EXPIRE", key, "1000"});  // as it was once
  Delivered event = purchase("evt_1", "cus_1", "cs_1");
  says_email(event, "a@example.com");
  tell(redis, event);
  const auto& places = std::get<MemoryRedis::Set>(*redis.find(key));
  assert_true(places.contains("cus_1"));
  assert_false(redis.ttl(key).has_value());  // nor does the purchase expire
}

// Who is known by an e-mail only must be found by it.
void lookup_that_cannot_be_written_is_not_stored(void**) {
  for (bool named : {false, true}) {
    MemoryRedis redis;
    const std::string key = "entitle:live:email:a@example.com";
    redis.run({"SET", key, "oops"});
    Delivered event = named ? alice_buys() : purchase("evt_1", "cus_1", "cs_1");
    says_email(event, "a@example.com");
    DeliveryResult result = tell(redis, event);
    assert_outcome(result, Outcome::not_stored);
    assert_non_null(strstr(result.error.c_str(), "WRONGTYPE"));
    redis.run({"DEL", key});
    assert_outcome(tell(redis, event),
                   named ? Outcome::duplicate : Outcome::parked);
    assert_non_null(redis.find(key));
  }
}

// What was watched last has nothing to do with it.
void lookup_conflicts_with_no_record(void**) {
  MemoryRedis redis;
  Delivered event = alice_buys();
  says_email(event, "a@example.com");
  tell(redis, event);
  Player player(redis, entitle::test::deliver(event));
  // Where all is written at once, an app that never rests would conflict.
  const int most = options().one_server ? 30 : INT_MAX;
  for (int n = 0; !player.done(); n++) {
    if (n < most) redis.run({"HSET", kAlice, "of_the_app", std::to_string(n)});
    player.advance();
  }
  assert_outcome(player.result(), Outcome::duplicate);
}

// The place of a claim whose WAIT failed is written again, too: in a cluster it
// is at another node than the record.
void duplicate_claim_is_vouched_for_in_its_place(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  DeliveryOptions with_wait = options();
  with_wait.touch_duplicates = true;
  Delivered event = alice_buys();
  Conversation<DeliveryResult> talk =
      entitle::deliver(event.facts, event.head, with_wait);
  std::set<std::string> written;
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      if (command[0] == "HSET") written.insert(command[1]);
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  assert_outcome(talk.result(), Outcome::duplicate);
  assert_true(written.contains(kCustomer));
  assert_true(written.contains(kAlice));
}

// There is nothing to vouch for in a record that is not there (any more).
void duplicate_claim_makes_no_record(void**) {
  MemoryRedis redis;
  const Delivered claims =
      purchase("evt_1", "cus_1", "", {user_claim("evt_1", 10, "alice")});
  DeliveryOptions with_wait = options();
  with_wait.touch_duplicates = true;
  run(redis, entitle::deliver(claims.facts, claims.head, with_wait));
  redis.run({"DEL", kAlice});
  assert_outcome(
      run(redis, entitle::deliver(claims.facts, claims.head, with_wait)),
      Outcome::duplicate);
  assert_null(redis.find(kAlice));
}

void log_of_a_wrong_type_refuses_nothing(void**) {
  MemoryRedis redis;
  redis.run({"SET", kAlice + ":log", "oops"});
  DeliveryResult result = tell(redis, alice_buys());
  assert_outcome(result, Outcome::applied);
  assert_non_null(strstr(result.error.c_str(), "log"));
  assert_true(redis.field(kAlice, "source:cs_1").has_value());
  result = tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  assert_outcome(result, Outcome::applied);
  assert_true(redis.field(kAlice, "source:cs_2").has_value());
}

// A shard lost its last writes, or somebody put an old place back.
void place_that_its_records_outran_is_settled_anew(void**) {
  MemoryRedis redis;
  tell(redis, alice_buys());
  std::string claims = field(redis, kCustomer, "claims");
  tell(redis,
       purchase("evt_2", "cus_1", "cs_2", {user_claim("evt_2", 20, "bob")}));
  tell(redis,
       purchase("evt_3", "cus_1", "cs_3", {user_claim("evt_3", 30, "alice")}));
  assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "3 live");
  for (const char* mark : {"3 live", "3 gone"}) {
    redis.run({"HSET", kAlice, "place:cus_1", mark});
    redis.run({"DEL", kCustomer});
    redis.run({"HSET", kCustomer, "claims", claims, "epoch", "1", "holders",
               "[\"u:alice\"]", "to", "u:alice"});
    DeliveryResult result =
        tell(redis, purchase(std::string("evt_") + mark[2], "cus_1", "cs_4"));
    assert_outcome(result, Outcome::applied);
    assert_string_equal(result.error.c_str(), "");
    assert_string_equal(field(redis, kAlice, "place:cus_1").c_str(), "4 live");
    assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:alice");
  }
}

Delivered of_organisation(const char* event, const char* source,
                          std::int64_t said, const char* who) {
  return purchase(event, "cus_1", source,
                  {about(source, user_claim(event, said, who))});
}

void organisations_of_one_customer_have_their_own(void**) {
  MemoryRedis redis;
  tell(redis, of_organisation("evt_1", "sub_a", 10, "alice"));
  DeliveryResult result =
      tell(redis, of_organisation("evt_2", "sub_b", 20, "bob"));
  assert_outcome(result, Outcome::applied);
  assert_false(result.owner_changed);
  assert_string_equal(result.user->str().c_str(), "bob");
  assert_string_equal(field(redis, kCustomer, "to").c_str(), "u:bob");
  assert_string_equal(field(redis, kCustomer, "owner:sub_a").c_str(),
                      "u:alice");
  assert_string_equal(field(redis, kCustomer, "holders").c_str(),
                      R"(["u:alice","u:bob"])");
  result = tell(redis, of_organisation("evt_3", "sub_a", 30, "alice"));
  assert_false(result.owner_changed);
  assert_string_equal(result.user->str().c_str(), "alice");
  for (const char* owner : {"alice", "bob"}) {
    const std::string key = std::string("entitle:live:{u:") + owner + "}";
    bool alices = owner == std::string("alice");
    assert_int_equal(redis.field(key, "source:sub_a").has_value(), alices);
    assert_int_equal(redis.field(key, "source:sub_b").has_value(), !alices);
  }
  assert_null(redis.find("entitle:live:webhook"));
}

void an_assumed_end_is_counted_once_an_event(void**) {
  MemoryRedis redis;
  auto assumes = [](Delivered event) {
    event.facts.assumes_end = true;
    return event;
  };
  const Delivered first = assumes(alice_buys());
  assert_outcome(tell(redis, first), Outcome::applied);
  assert_outcome(tell(redis, first), Outcome::duplicate);
  tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  const std::string hash = "entitle:live:webhook";
  assert_string_equal(field(redis, hash, "assumed_ends").c_str(), "1");
  assert_string_equal(field(redis, hash, "last_assumed_end_event").c_str(),
                      "evt_1");
  assert_string_equal(field(redis, hash, "last_assumed_end").c_str(),
                      std::to_string(kNow).c_str());
  // What waits for its owner, too.
  assert_outcome(tell(redis, assumes(purchase("evt_3", "cus_2", "cs_3"))),
                 Outcome::parked);
  assert_string_equal(field(redis, hash, "assumed_ends").c_str(), "2");
}

// Two transactions on the way of a renewal that says again whose it is: the
// claim into the place, the facts into the record.
void renewal_of_one_of_several_takes_one_transaction_more(void**) {
  MemoryRedis redis;
  tell(redis, of_organisation("evt_1", "sub_a", 10, "alice"));
  tell(redis, of_organisation("evt_2", "sub_b", 20, "bob"));
  Player plain(redis,
               entitle::test::deliver(purchase("evt_3", "cus_1", "sub_a")));
  plain.finish();
  assert_outcome(plain.result(), Outcome::applied);
  const bool one_server = options().one_server;
  assert_int_equal(plain.steps(), one_server ? 3 : 4);
  Player named(redis, entitle::test::deliver(
                          of_organisation("evt_4", "sub_b", 40, "bob")));
  named.finish();
  assert_int_equal(named.steps(), one_server ? 2 : 5);
}

void conflict_about_one_source_moves_it_alone_and_is_counted(void**) {
  MemoryRedis redis;
  tell(redis, of_organisation("evt_1", "sub_a", 10, "alice"));
  tell(redis, of_organisation("evt_2", "sub_b", 20, "alice"));
  DeliveryResult result =
      tell(redis, of_organisation("evt_3", "sub_b", 15, "bob"));
  assert_false(result.owner_changed);
  assert_null(redis.find(kBob));
  result = tell(redis, of_organisation("evt_4", "sub_b", 30, "bob"));
  assert_true(result.owner_changed);
  assert_true(redis.field(kAlice, "source:sub_a").has_value());
  assert_false(redis.field(kAlice, "source:sub_b").has_value());
  assert_true(redis.field(kBob, "source:sub_b").has_value());
  assert_string_equal(field(redis, "entitle:live:webhook", "conflicts").c_str(),
                      "1");
  assert_string_equal(
      field(redis, "entitle:live:webhook", "last_conflict_event").c_str(),
      "evt_4");
  // Both claims can be seen.
  assert_non_null(
      strstr(field(redis, kCustomer, "claims:sub_b").c_str(), "u:alice"));
  assert_non_null(strstr(list_of(redis, kAlice + ":log").at(0).c_str(),
                         R"("moved_to":"u:bob")"));
}

void deleted_customer_ends_what_each_of_its_owners_has(void**) {
  for (bool deleted_first : {false, true}) {
    MemoryRedis redis;
    Delivered gone = purchase("evt_9", "cus_1", "");
    gone.facts.places[0].sources["cus_1"].deleted = {"evt_9", unix_time(kNow)};
    tell(redis, of_organisation("evt_1", "cs_a", 10, "alice"));
    if (deleted_first) tell(redis, gone);
    tell(redis, of_organisation("evt_2", "cs_b", 20, "bob"));
    if (!deleted_first) tell(redis, gone);
    assert_true(redis.field(kAlice, "source:cus_1").has_value());
    assert_true(redis.field(kBob, "source:cus_1").has_value());
    assert_outcome(tell(redis, gone), Outcome::duplicate);
    DeliveryResult result = tell(redis, purchase("evt_3", "cus_1", "cs_a"));
    assert_true(result.unlocks.empty());
  }
}

// One owner's record is damaged; the other organisation goes on.
void unreadable_record_keeps_nothing_from_the_others(void**) {
  MemoryRedis redis;
  tell(redis, of_organisation("evt_1", "sub_a", 10, "alice"));
  tell(redis, of_organisation("evt_2", "sub_b", 20, "bob"));
  redis.run({"DEL", kAlice});
  redis.run({"SET", kAlice, "oops"});
  assert_outcome(tell(redis, of_organisation("evt_3", "sub_a", 30, "alice")),
                 Outcome::parked);
  DeliveryResult result =
      tell(redis, of_organisation("evt_4", "sub_b", 40, "bob"));
  assert_outcome(result, Outcome::applied);
  redis.run({"DEL", kAlice});
  tell(redis, of_organisation("evt_5", "sub_b", 50, "bob"));
  assert_true(redis.field(kAlice, "source:sub_a").has_value());
  assert_false(is_parked(redis, "cus_1"));
}

void event_that_says_nothing_is_ignored(void**) {
  MemoryRedis redis;
  Delivered nothing = alice_buys();
  nothing.facts.places.clear();
  assert_outcome(tell(redis, nothing), Outcome::ignored);
  assert_int_equal(redis.commands(), 0);

  Delivered email_only = purchase("evt_1", "cus_1", "");
  says_email(email_only, "a@example.com");
  assert_outcome(tell(redis, email_only), Outcome::ignored);
  assert_string_equal(
      field(redis, kCustomer, "email").c_str(),
      R"({"is":"a@example.com","at":1750000000,"event":"evt_1"})");
  assert_false(is_parked(redis, "cus_1"));
  assert_non_null(redis.find("entitle:live:email:a@example.com"));
}

void unusual_user_survives_keys_and_fields(void**) {
  MemoryRedis redis;
  const std::string odd = "t\xc3\xa9 {x}%\"\\";
  DeliveryResult result = tell(redis, purchase("evt_1", "cus_1", "cs_1",
                                               {user_claim("evt_1", 10, odd)}));
  assert_string_equal(result.user->str().c_str(), odd.c_str());
  tell(redis, purchase("evt_2", "cus_1", "cs_2"));
  const std::string key = "entitle:live:{u:t%C3%A9 %7Bx%7D%25\"\\}";
  assert_true(redis.field(key, "source:cs_2").has_value());
}

void broken_off_anywhere_and_repeated_ends_the_same(void**) {
  MemoryRedis whole;
  tell(whole, purchase("evt_0", "cus_1", "cs_0"));
  tell(whole, alice_buys());
  for (int when = 0;; when++) {
    MemoryRedis redis;
    tell(redis, purchase("evt_0", "cus_1", "cs_0"));
    bool over = false;
    {
      Player player(redis, entitle::test::deliver(alice_buys()));
      for (int i = 0; i < when && !player.done(); i++) player.advance();
      over = player.done();
    }
    tell(redis, alice_buys());
    assert_string_equal(redis.dump().c_str(), whole.dump().c_str());
    if (over) break;
  }
}

// An attempt that broke off between the two places of an event may have listed
// the first's whole, and somebody else have settled that meanwhile.
void what_broke_off_between_places_leaves_nothing_parked(void**) {
  MemoryRedis redis;
  run(redis, entitle::test::deliver(purchase("evt_g", "cs_1", "cs_1",
                                             {user_claim("evt_g", 2, "bob")})));
  Delivered bought = purchase("evt_a", "cus_1", "cs_a");
  also_forwards(bought, "cs_1", "cus_1");
  Delivered attempt = bought;
  attempt.facts.places.pop_back();
  run(redis, entitle::test::deliver(attempt));
  redis.run({"ZADD", "entitle:live:parked", "NX", "5", "cus_1"});
  run(redis, entitle::test::deliver(bought));
  assert_null(redis.find("entitle:live:parked"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_broke_off_between_places_leaves_nothing_parked),
      cmocka_unit_test(purchase_with_a_user_unlocks_at_once),
      cmocka_unit_test(settled_place_only_forwards),
      cmocka_unit_test(event_for_a_settled_place_takes_three_round_trips),
      cmocka_unit_test(event_without_a_user_waits_in_its_place),
      cmocka_unit_test(claim_brings_what_waited),
      cmocka_unit_test(duplicate_changes_nothing),
      cmocka_unit_test(duplicate_is_a_write_when_replicas_must_confirm_it),
      cmocka_unit_test(duplicate_of_what_was_parked_belongs_to_its_user_now),
      cmocka_unit_test(duplicate_amid_a_broken_off_move_is_a_duplicate),
      cmocka_unit_test(late_finish_forgets_no_holder),
      cmocka_unit_test(part_with_facts_is_settled_only_when_they_are_passed_on),
      cmocka_unit_test(event_that_leaves_nothing_is_superseded),
      cmocka_unit_test(purchase_no_grant_knows_is_unmatched_and_named),
      cmocka_unit_test(purchase_that_carries_nothing_is_unmatched),
      cmocka_unit_test(what_is_not_effective_is_not_unmatched),
      cmocka_unit_test(one_that_is_matched_costs_no_more_than_before),
      cmocka_unit_test(refund_takes_it_out_of_the_index),
      cmocka_unit_test(what_waits_for_a_user_is_indexed_by_its_place),
      cmocka_unit_test(what_is_listed_already_is_told_to_the_list_again),
      cmocka_unit_test(a_payment_for_what_opens_nothing_is_unmatched),
      cmocka_unit_test(what_another_purchase_opens_is_no_matter),
      cmocka_unit_test(a_claim_of_what_opens_nothing_is_unmatched),
      cmocka_unit_test(what_moves_is_indexed_where_it_is),
      cmocka_unit_test(what_is_ignored_by_name_is_applied),
      cmocka_unit_test(an_account_can_be_ignored),
      cmocka_unit_test(an_index_that_cannot_be_written_is_said),
      cmocka_unit_test(a_list_of_what_is_parked_that_cannot_be_written_is_said),
      cmocka_unit_test(newer_explicit_claim_moves_everything),
      cmocka_unit_test(move_is_logged_in_both_records),
      cmocka_unit_test(older_claim_that_comes_late_changes_no_owner),
      cmocka_unit_test(log_says_what_changed),
      cmocka_unit_test(log_keeps_the_newest_hundred),
      cmocka_unit_test(version_that_cannot_rise_keeps_nobody_out),
      cmocka_unit_test(version_rises_only_when_identifiers_change),
      cmocka_unit_test(fields_of_others_stay),
      cmocka_unit_test(refund_before_its_purchase_finds_it),
      cmocka_unit_test(a_payments_place_lives_540_days_after_each_event),
      cmocka_unit_test(what_a_full_record_cannot_take_waits_and_ends_are_taken),
      cmocka_unit_test(claims_of_a_part_count_for_the_whole),
      cmocka_unit_test(place_learns_of_a_second_whole_and_gives_it_all),
      cmocka_unit_test(second_whole_gets_all_though_its_link_broke_off),
      cmocka_unit_test(place_keeps_what_it_passed_on_for_a_second_whole),
      cmocka_unit_test(customer_is_part_of_nothing),
      cmocka_unit_test(unreadable_record_is_copied_and_the_event_kept),
      cmocka_unit_test(unreadable_record_loses_nothing_to_a_delivery_at_work),
      cmocka_unit_test(corrupt_source_makes_a_record_unreadable),
      cmocka_unit_test(unreadable_place_is_moved_aside_and_the_event_kept),
      cmocka_unit_test(what_was_set_aside_before_stays),
      cmocka_unit_test(refused_write_is_not_stored),
      cmocka_unit_test(refusal_at_any_moment_is_mended_by_the_next_delivery),
      cmocka_unit_test(conflicts_without_end_are_not_stored),
      cmocka_unit_test(deleted_record_is_made_anew),
      cmocka_unit_test(lost_place_catches_up_with_its_records),
      cmocka_unit_test(places_that_are_no_customers_expire),
      cmocka_unit_test(event_can_be_looked_up),
      cmocka_unit_test(places_of_an_email_can_be_looked_up),
      cmocka_unit_test(lookup_that_cannot_be_written_is_not_stored),
      cmocka_unit_test(lookup_conflicts_with_no_record),
      cmocka_unit_test(an_assumed_end_is_counted_once_an_event),
      cmocka_unit_test(duplicate_claim_is_vouched_for_in_its_place),
      cmocka_unit_test(duplicate_claim_makes_no_record),
      cmocka_unit_test(log_of_a_wrong_type_refuses_nothing),
      cmocka_unit_test(place_that_its_records_outran_is_settled_anew),
      cmocka_unit_test(organisations_of_one_customer_have_their_own),
      cmocka_unit_test(renewal_of_one_of_several_takes_one_transaction_more),
      cmocka_unit_test(conflict_about_one_source_moves_it_alone_and_is_counted),
      cmocka_unit_test(deleted_customer_ends_what_each_of_its_owners_has),
      cmocka_unit_test(unreadable_record_keeps_nothing_from_the_others),
      cmocka_unit_test(event_that_says_nothing_is_ignored),
      cmocka_unit_test(unusual_user_survives_keys_and_fields),
      cmocka_unit_test(broken_off_anywhere_and_repeated_ends_the_same),
  };
  // Not in a Cluster, where nothing is one transaction.
  const CMUnitTest of_one_server[] = {
      cmocka_unit_test(event_that_names_its_user_takes_two_round_trips),
      cmocka_unit_test(what_is_awaited_takes_no_round_trip_more),
      cmocka_unit_test(first_event_takes_three_round_trips_at_most),
  };
  int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
  if (options().one_server) {
    failed += cmocka_run_group_tests(of_one_server, nullptr, nullptr);
  }
  return failed;
}
