// A record that is full: what is new waits in its place, and what ends or gives
// back something the record has is taken, whatever waits beside it. Else
// whoever fills their own record and buys once more is beyond refund and
// cancellation.
#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/outcome.h"
#include "core/delivery/room.h"
#include "core/source/claim.h"
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

const std::string kCustomer = "entitle:live:{p:cus_1}";

std::string record_of(const std::string& name) {
  return "entitle:live:{u:" + name + "}";
}

DeliveryResult tell(MemoryRedis& redis, const Delivered& delivered) {
  return run(redis, entitle::test::deliver(delivered));
}

void fill(MemoryRedis& redis, const std::string& name) {
  redis.run({"HSET", record_of(name), "plan_of_the_app",
             std::string(kMaxRecordBytes, 'x')});
}

void make_room(MemoryRedis& redis, const std::string& name) {
  redis.run({"HDEL", record_of(name), "plan_of_the_app"});
}

std::optional<Source> source_in(const MemoryRedis& redis,
                                const std::string& key, const std::string& id) {
  return Source::decode(redis.field(key, "source:" + id).value_or(""));
}

bool is_parked(const MemoryRedis& redis) {
  return redis.find("entitle:live:parked") != nullptr;
}

bool has_ended(const MemoryRedis& redis, const std::string& name,
               const std::string& id) {
  std::optional<Source> source = source_in(redis, record_of(name), id);
  return source && !source->snapshots.empty() &&
         source->snapshots.front().terminal();
}

// --- events ------------------------------------------------------------------

Delivered of(const std::string& event, const std::string& source) {
  Delivered delivered = purchase(event, "cus_1", source);
  delivered.facts.places[0].sources[source] = Source();
  return delivered;
}

Source& what(Delivered& delivered) {
  return delivered.facts.places[0].sources.begin()->second;
}

Delivered buys(const std::string& event, const std::string& session,
               const std::string& payment, const std::string& name) {
  Claim claim = user_claim(event, 10, name);
  Delivered delivered = purchase(
      event, "cus_1", session,
      {about(session, claim), about(payment, claim), about("ch_1", claim)});
  SessionFact paid = what(delivered).sessions[0];
  paid.payment_intent = payment;
  paid.charge = "ch_1";
  what(delivered).sessions = {paid};
  return delivered;
}

Delivered refunds(const std::string& event, const std::string& payment) {
  Delivered delivered = of(event, payment);
  what(delivered).refunds = {
      RefundFact{event, unix_time(kNow - 70), "ch_1", true, true, false}};
  return delivered;
}

Delivered disputes(const std::string& event, const std::string& payment) {
  Delivered delivered = of(event, payment);
  DisputeFact dispute;
  dispute.event = event;
  dispute.created = unix_time(kNow - 70);
  dispute.id = "du_1";
  dispute.status = "needs_response";
  what(delivered).disputes = {dispute};
  return delivered;
}

Delivered deletes(const std::string& event) {
  Delivered delivered = of(event, "cus_1");
  what(delivered).deleted = DeletedFact{event, unix_time(kNow - 60)};
  return delivered;
}

Delivered has_features(const std::string& event) {
  Delivered delivered = of(event, "cus_1");
  SummaryFact summary;
  summary.event = event;
  summary.created = unix_time(kNow - 85);
  summary.identifiers = {*Identifier::parse("feature=sso")};
  what(delivered).summaries = {summary};
  return delivered;
}

void assert_waits(const DeliveryResult& result) {
  assert_true(result.outcome == Outcome::parked);
  assert_non_null(std::strstr(result.error.c_str(), "is full"));
}

void assert_taken(const DeliveryResult& result) {
  assert_true(result.outcome == Outcome::applied);
  assert_string_equal(result.error.c_str(), "");
}

// alice subscribes, buys for good, and her record is full. One more waits.
MemoryRedis full_with_one_more() {
  MemoryRedis redis;
  tell(redis, subscribes("evt_1", "sub_1", "alice"));
  tell(redis, buys("evt_2", "cs_1", "pi_1", "alice"));
  fill(redis, "alice");
  assert_waits(tell(redis, subscribes("evt_3", "sub_2", "alice")));
  assert_true(is_parked(redis));
  return redis;
}

// --- one owner ---------------------------------------------------------------

void ends_are_taken_while_another_purchase_waits(void**) {
  MemoryRedis redis = full_with_one_more();
  assert_taken(tell(redis, refunds("evt_4", "pi_1")));
  assert_false(source_in(redis, record_of("alice"), "pi_1")->refunds.empty());
  assert_taken(tell(redis, disputes("evt_5", "pi_1")));
  assert_false(source_in(redis, record_of("alice"), "pi_1")->disputes.empty());
  DeliveryResult result = tell(redis, cancels("evt_6", "sub_1"));
  assert_taken(result);
  assert_true(result.unlocks.empty());
  assert_true(has_ended(redis, "alice", "sub_1"));
  assert_true(tell(redis, cancels("evt_6", "sub_1")).outcome ==
              Outcome::duplicate);

  assert_false(source_in(redis, record_of("alice"), "sub_2").has_value());
  assert_true(source_in(redis, kCustomer, "sub_2").has_value());
  assert_true(is_parked(redis));
}

void what_waited_comes_when_there_is_room(void**) {
  MemoryRedis redis = full_with_one_more();
  tell(redis, cancels("evt_4", "sub_1"));
  assert_waits(tell(redis, subscribes("evt_3", "sub_2", "alice")));
  make_room(redis, "alice");
  DeliveryResult result = tell(redis, subscribes("evt_3", "sub_2", "alice"));
  assert_true(result.user.has_value());
  assert_int_equal(result.unlocks.size(), 1);
  assert_true(source_in(redis, record_of("alice"), "sub_2").has_value());
  assert_false(source_in(redis, kCustomer, "sub_2").has_value());
  assert_false(is_parked(redis));
}

// The payment that is refunded says what it bought by itself, too: that waits,
// and the refund does not wait with it.
void what_gives_back_does_not_wait_with_what_opens(void**) {
  MemoryRedis redis = full_with_one_more();
  assert_waits(tell(redis, purchase("evt_4", "cus_1", "pi_1")));
  assert_taken(tell(redis, refunds("evt_5", "pi_1")));
  assert_false(source_in(redis, record_of("alice"), "pi_1")->refunds.empty());
}

void deletion_does_not_wait_with_the_customers_features(void**) {
  MemoryRedis redis = full_with_one_more();
  assert_waits(tell(redis, has_features("evt_4")));
  assert_taken(tell(redis, deletes("evt_5")));
  std::optional<Source> customer =
      source_in(redis, record_of("alice"), "cus_1");
  assert_true(customer && customer->deleted.has_value());
}

// --- several -----------------------------------------------------------------

// It is alice's, then said to be bob's, whose record has no room.
Delivered said_to_be_bobs(const std::vector<std::string>& sources) {
  Delivered moves = of("evt_moves", "");
  moves.facts.places[0].sources.clear();
  for (const std::string& source : sources) {
    moves.facts.places[0].claims.push_back(
        about(source, user_claim("evt_moves", 30, "bob")));
  }
  return moves;
}

void what_cannot_move_yet_stays_until_it_ends(void**) {
  MemoryRedis redis;
  tell(redis, subscribes("evt_1", "sub_1", "alice"));
  tell(redis, subscribes("evt_2", "sub_2", "bob"));
  fill(redis, "bob");
  tell(redis, said_to_be_bobs({"sub_1"}));
  assert_true(source_in(redis, record_of("alice"), "sub_1").has_value());
  assert_false(source_in(redis, record_of("bob"), "sub_1").has_value());
  assert_true(is_parked(redis));

  tell(redis, cancels("evt_4", "sub_1"));
  assert_true(has_ended(redis, "bob", "sub_1"));
  assert_false(source_in(redis, record_of("alice"), "sub_1").has_value());
  assert_false(is_parked(redis));
}

void what_cannot_move_yet_is_given_back_where_it_is(void**) {
  for (const std::string ended : {"pi_1", "ch_1", "cus_1"}) {
    const bool deleted = ended == "cus_1";
    MemoryRedis redis;
    tell(redis, buys("evt_1", "cs_1", "pi_1", "alice"));
    tell(redis, subscribes("evt_2", "sub_2", "bob"));
    fill(redis, "bob");
    tell(redis, said_to_be_bobs({"cs_1", "pi_1", "ch_1"}));
    assert_true(source_in(redis, record_of("alice"), "cs_1").has_value());

    tell(redis, deleted ? deletes("evt_4") : refunds("evt_4", ended));
    for (const char* name : {"alice", "bob"}) {
      assert_true(source_in(redis, record_of(name), ended).has_value());
    }
    make_room(redis, "bob");
    tell(redis, buys("evt_1", "cs_1", "pi_1", "alice"));
    assert_true(source_in(redis, record_of("bob"), "cs_1").has_value());
    assert_false(source_in(redis, record_of("alice"), "cs_1").has_value());
    assert_false(source_in(redis, record_of("alice"), ended).has_value());
    assert_false(is_parked(redis));
  }
}

void one_full_record_keeps_nothing_of_others_back(void**) {
  MemoryRedis redis;
  tell(redis, subscribes("evt_1", "sub_1", "alice"));
  tell(redis, subscribes("evt_2", "sub_2", "bob"));
  fill(redis, "bob");
  assert_waits(tell(redis, subscribes("evt_3", "sub_3", "bob")));
  Delivered moves = subscribes("evt_4", "sub_1", "carol", 30);
  assert_true(tell(redis, moves).outcome == Outcome::applied);
  assert_true(source_in(redis, record_of("carol"), "sub_1").has_value());
  assert_false(source_in(redis, record_of("alice"), "sub_1").has_value());
}

// --- at the same moment ------------------------------------------------------

std::string fault(const MemoryRedis& redis) {
  if (!has_ended(redis, "alice", "sub_1")) return "sub_1 is open";
  std::optional<Source> payment = source_in(redis, record_of("alice"), "pi_1");
  if (!payment || payment->refunds.empty()) return "pi_1 is not refunded";
  for (const char* opener : {"sub_2", "sub_3"}) {
    if (source_in(redis, record_of("alice"), opener)) return "no room";
    if (!source_in(redis, kCustomer, opener)) return "what waits is lost";
  }
  if (source_in(redis, record_of("bob"), "sub_1")) return "bob has alice's";
  if (!source_in(redis, record_of("bob"), "sub_4")) return "bob lacks his";
  return is_parked(redis) ? "" : "nobody sees that it waits";
}

void interleavings_end_with_all_ends_taken(void**) {
  MemoryRedis start;
  tell(start, subscribes("evt_1", "sub_1", "alice"));
  tell(start, buys("evt_2", "cs_1", "pi_1", "alice"));
  fill(start, "alice");
  const std::vector<Delivered> events = {
      subscribes("evt_3", "sub_2", "alice"), cancels("evt_4", "sub_1"),
      subscribes("evt_5", "sub_3", "alice"), refunds("evt_6", "pi_1"),
      subscribes("evt_7", "sub_4", "bob")};
  constexpr int kRuns = 120;
  for (std::uint64_t seed = 1; seed <= kRuns; seed++) {
    std::mt19937_64 random(seed);
    MemoryRedis redis = start;
    std::vector<std::unique_ptr<Player>> players;
    for (const Delivered& event : events) {
      players.push_back(std::make_unique<Player>(
          redis, entitle::test::deliver(event, seed + players.size())));
    }
    std::vector<std::size_t> open = {0, 1, 2, 3, 4}, broken;
    while (!open.empty()) {
      std::size_t who = open[random() % open.size()];
      bool breaks = seed % 2 == 0 && random() % 40 == 0;
      for (std::size_t burst = 1 + random() % 8;
           burst > 0 && !players[who]->done(); burst--) {
        players[who]->advance();
      }
      if (breaks) broken.push_back(who);
      if (breaks || players[who]->done()) std::erase(open, who);
    }
    for (std::size_t again : broken) players[again].reset();
    for (std::size_t again : broken) tell(redis, events[again]);
    std::string wrong = fault(redis);
    if (!wrong.empty()) {
      fail_msg("seed %d: %s", static_cast<int>(seed), wrong.c_str());
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(ends_are_taken_while_another_purchase_waits),
      cmocka_unit_test(what_waited_comes_when_there_is_room),
      cmocka_unit_test(what_gives_back_does_not_wait_with_what_opens),
      cmocka_unit_test(deletion_does_not_wait_with_the_customers_features),
      cmocka_unit_test(what_cannot_move_yet_stays_until_it_ends),
      cmocka_unit_test(what_cannot_move_yet_is_given_back_where_it_is),
      cmocka_unit_test(one_full_record_keeps_nothing_of_others_back),
      cmocka_unit_test(interleavings_end_with_all_ends_taken),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
