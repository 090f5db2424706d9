// Guests who bought before they had an account.
#include "core/delivery/email_claim.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
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

const std::string kAda = "entitle:live:{u:ada}";
const std::string kEmail = "ada@example.com";

void buys_as_guest(MemoryRedis& redis, std::string_view event,
                   std::string_view place, std::string_view session,
                   std::vector<Claim> claims = {},
                   std::string_view email = kEmail, std::int64_t said = kNow) {
  Delivered bought = purchase(event, place, session, std::move(claims));
  says_email(bought, email, said);
  run(redis, entitle::test::deliver(bought));
}

struct Claimed {
  EmailClaimed result;
  int writes = 0;
  int steps = 0;
};

// `until` steps, then the connection is lost; -1: to the end.
Claimed log_in(MemoryRedis& redis, const char* name = "ada", int until = -1,
               const std::string& email = kEmail) {
  Conversation<EmailClaimed> talk =
      claim_by_email(email, *User::from(name), options());
  MemoryRedis::Connection connection;
  Claimed claimed;
  while (const Step* step = talk.next()) {
    if (claimed.steps == until) return claimed;
    claimed.steps++;
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      if (command.front() == "EXEC") claimed.writes++;
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  claimed.result = talk.result();
  return claimed;
}

std::string field(const MemoryRedis& redis, const std::string& key,
                  const std::string& name) {
  return redis.field(key, name).value_or("(none)");
}

bool is_parked(const MemoryRedis& redis, const std::string& place) {
  const MemoryRedis::Value* value = redis.find("entitle:live:parked");
  return value != nullptr &&
         std::get<MemoryRedis::SortedSet>(*value).scores.contains(place);
}

void what_a_guest_bought_is_theirs_once_they_log_in(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cs_1", "cs_1");
  assert_true(is_parked(redis, "cs_1"));
  Claimed claimed = log_in(redis);
  assert_string_equal(claimed.result.error.c_str(), "");
  assert_int_equal(claimed.result.places.size(), 1);
  assert_true(redis.field(kAda, "source:cs_1").has_value());
  assert_string_equal(field(redis, kAda, "place:cs_1").c_str(), "1 live");
  assert_false(is_parked(redis, "cs_1"));
  assert_int_equal(claimed.result.raised->first, 0);
  assert_string_equal(std::to_string(claimed.result.raised->second).c_str(),
                      field(redis, kAda, "version").c_str());
  const auto& log = std::get<MemoryRedis::List>(*redis.find(kAda + ":log"));
  assert_int_equal(log.size(), 1);
  assert_non_null(strstr(log[0].c_str(), R"("type":"email_claim")"));
}

void later_events_of_the_place_follow(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  log_in(redis);
  buys_as_guest(redis, "evt_2", "cus_1", "cs_2");
  assert_true(redis.field(kAda, "source:cs_2").has_value());
}

void two_purchases_are_claimed_together(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  buys_as_guest(redis, "evt_2", "cus_2", "cs_2");
  Claimed claimed = log_in(redis);
  assert_int_equal(claimed.result.places.size(), 2);
  assert_true(redis.field(kAda, "source:cs_1").has_value());
  assert_true(redis.field(kAda, "source:cs_2").has_value());
  assert_string_equal(std::to_string(claimed.result.raised->second).c_str(),
                      field(redis, kAda, "version").c_str());
}

void what_is_theirs_already_costs_a_read_and_no_write(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  log_in(redis);
  Claimed again = log_in(redis);
  assert_int_equal(again.writes, 0);
  assert_int_equal(again.steps, 2);
  assert_true(again.result.places.empty());
  assert_false(again.result.raised.has_value());
}

void an_unknown_e_mail_costs_one_read(void**) {
  MemoryRedis redis;
  Claimed claimed = log_in(redis);
  assert_int_equal(claimed.steps, 1);
  assert_int_equal(claimed.writes, 0);
  assert_true(redis.keys().empty());
}

void an_explicit_claim_wins_before_and_after(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1",
                {user_claim("evt_1", 10, "bob")});
  Claimed claimed = log_in(redis);
  assert_int_equal(claimed.writes, 0);
  assert_null(redis.find(kAda));

  buys_as_guest(redis, "evt_2", "cus_2", "cs_2");
  log_in(redis);
  assert_true(redis.field(kAda, "source:cs_2").has_value());
  buys_as_guest(redis, "evt_3", "cus_2", "cs_3",
                {user_claim("evt_3", 20, "bob")});
  assert_false(redis.field(kAda, "source:cs_2").has_value());
  assert_true(redis.field("entitle:live:{u:bob}", "source:cs_2").has_value());
}

void a_second_user_of_the_e_mail_takes_nothing_away(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  log_in(redis, "ada");
  Claimed second = log_in(redis, "eve");
  assert_int_equal(second.writes, 0);
  assert_true(redis.field(kAda, "source:cs_1").has_value());
  assert_null(redis.find("entitle:live:{u:eve}"));
}

void a_place_that_forwards_is_claimed_where_it_leads(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cs_1", "cs_1");
  Delivered customer = purchase("evt_2", "cus_1", "sub_1");
  also_forwards(customer, "cs_1", "cus_1");
  run(redis, entitle::test::deliver(customer));
  Claimed claimed = log_in(redis);
  assert_int_equal(claimed.result.places.size(), 1);
  assert_string_equal(claimed.result.places[0].c_str(), "cus_1");
  assert_true(redis.field(kAda, "source:cs_1").has_value());
  assert_true(redis.field(kAda, "source:sub_1").has_value());
  assert_int_equal(log_in(redis).writes, 0);
}

void what_breaks_off_is_finished_by_the_next_login(void**) {
  for (int broken = 0; broken < 40; broken++) {
    MemoryRedis redis;
    buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
    Claimed first = log_in(redis, "ada", broken);
    log_in(redis);
    assert_true(redis.field(kAda, "source:cs_1").has_value());
    assert_string_equal(field(redis, kAda, "place:cus_1").c_str(), "1 live");
    assert_false(is_parked(redis, "cus_1"));
    if (first.steps < broken) return;  // it was whole
  }
  fail_msg("no claim is that long");
}

void a_redis_that_refuses_is_said(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  redis.refuse_writes("READONLY You can't write");
  assert_non_null(strstr(log_in(redis).result.error.c_str(), "READONLY"));
  assert_null(redis.find(kAda));
  redis.run({"DEL", "entitle:live:email:" + kEmail});
}

// She mistyped it; whoever has that address logs in before she does.
void a_corrected_e_mail_is_the_only_one_that_claims(void**) {
  const std::string wrong = "adam@example.com";
  for (bool late : {false, true}) {
    MemoryRedis redis;
    Delivered corrected = purchase("evt_2", "cus_1", "");
    says_email(corrected, kEmail, 20);
    if (late) run(redis, entitle::test::deliver(corrected));
    buys_as_guest(redis, "evt_1", "cus_1", "cs_1", {}, wrong, 10);
    if (!late) run(redis, entitle::test::deliver(corrected));
    Claimed adam = log_in(redis, "adam", -1, wrong);
    assert_int_equal(adam.writes, 0);
    assert_null(redis.find("entitle:live:email:" + wrong));
    log_in(redis);
    assert_true(redis.field(kAda, "source:cs_1").has_value());
  }
}

// Whoever has the mistyped address came first; she comes when it is corrected.
void a_correction_gives_it_to_whom_it_finds_and_to_nobody_before(void**) {
  const std::string wrong = "adam@example.com";
  const std::string kAdam = "entitle:live:{u:adam}";
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1", {}, wrong, 10);
  log_in(redis, "adam", -1, wrong);
  assert_true(redis.field(kAdam, "source:cs_1").has_value());
  Delivered corrected = purchase("evt_2", "cus_1", "");
  says_email(corrected, kEmail, 20);
  DeliveryResult told = run(redis, entitle::test::deliver(corrected));
  assert_string_equal(told.by_older_email->str().c_str(), "adam");
  // Once: what repeats the e-mail corrects nothing.
  told = run(redis, entitle::test::deliver(corrected));
  assert_false(told.by_older_email.has_value());
  // He may be a customer who changed the address: nothing is taken away.
  log_in(redis, "adam", -1, wrong);
  assert_true(redis.field(kAdam, "source:cs_1").has_value());

  log_in(redis);
  assert_true(redis.field(kAda, "source:cs_1").has_value());
  assert_false(redis.field(kAdam, "source:cs_1").has_value());
  log_in(redis, "adam", -1, wrong);
  log_in(redis, "eve");  // has her e-mail, too: she came first
  assert_true(redis.field(kAda, "source:cs_1").has_value());
}

// Who comes with the new address has it by that one from then on.
void a_customer_who_changes_the_e_mail_keeps_it(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1", {}, "a@example.com", 10);
  log_in(redis, "ada", -1, "a@example.com");
  Delivered changed = purchase("evt_2", "cus_1", "");
  says_email(changed, kEmail, 20);
  run(redis, entitle::test::deliver(changed));
  log_in(redis);
  assert_int_equal(log_in(redis, "eve").writes, 0);
  assert_int_equal(log_in(redis).writes, 0);
  assert_true(redis.field(kAda, "source:cs_1").has_value());
}

void what_somebody_is_named_for_no_e_mail_takes_away(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1",
                {user_claim("evt_1", 10, "bob")}, "b@example.com", 10);
  Delivered changed = purchase("evt_2", "cus_1", "");
  says_email(changed, kEmail, 20);
  DeliveryResult told = run(redis, entitle::test::deliver(changed));
  assert_false(told.by_older_email.has_value());
  assert_int_equal(log_in(redis).writes, 0);
}

// The set of the wrong one may still name the place: its write was lost.
void a_place_knows_that_its_e_mail_was_corrected(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cus_1", "cs_1");
  redis.run({"SADD", "entitle:live:email:eve@example.com", "cus_1"});
  assert_int_equal(log_in(redis, "eve", -1, "eve@example.com").writes, 0);
  assert_null(redis.find("entitle:live:{u:eve}"));
}

void a_place_that_is_gone_is_forgotten(void**) {
  MemoryRedis redis;
  buys_as_guest(redis, "evt_1", "cs_1", "cs_1");
  redis.run({"DEL", "entitle:live:{p:cs_1}"});
  log_in(redis);
  assert_null(redis.find("entitle:live:email:" + kEmail));
  assert_null(redis.find(kAda));
}

void few_are_looked_at_at_one_time(void**) {
  MemoryRedis redis;
  for (std::size_t i = 0; i < 2 * kMostEmailPlaces; i++) {
    std::string n = std::to_string(i);
    buys_as_guest(redis, "evt_" + n, "cus_" + n, "cs_" + n);
  }
  assert_int_equal(log_in(redis).result.places.size(), kMostEmailPlaces);
}

void an_e_mail_is_compared_in_lower_case(void**) {
  assert_string_equal(claimable_email("Ada@Example.COM").c_str(),
                      "ada@example.com");
  for (const char* text : {"", "ada", "a b@example.com", "a@b\n", "a@b\x7f"}) {
    assert_string_equal(claimable_email(text).c_str(), "");
  }
  assert_string_equal(claimable_email(std::string(320, '@')).c_str(),
                      std::string(320, '@').c_str());
  assert_string_equal(claimable_email(std::string(321, '@')).c_str(), "");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_a_guest_bought_is_theirs_once_they_log_in),
      cmocka_unit_test(later_events_of_the_place_follow),
      cmocka_unit_test(two_purchases_are_claimed_together),
      cmocka_unit_test(what_is_theirs_already_costs_a_read_and_no_write),
      cmocka_unit_test(an_unknown_e_mail_costs_one_read),
      cmocka_unit_test(an_explicit_claim_wins_before_and_after),
      cmocka_unit_test(a_second_user_of_the_e_mail_takes_nothing_away),
      cmocka_unit_test(a_place_that_forwards_is_claimed_where_it_leads),
      cmocka_unit_test(what_breaks_off_is_finished_by_the_next_login),
      cmocka_unit_test(a_redis_that_refuses_is_said),
      cmocka_unit_test(a_corrected_e_mail_is_the_only_one_that_claims),
      cmocka_unit_test(
          a_correction_gives_it_to_whom_it_finds_and_to_nobody_before),
      cmocka_unit_test(a_customer_who_changes_the_e_mail_keeps_it),
      cmocka_unit_test(what_somebody_is_named_for_no_e_mail_takes_away),
      cmocka_unit_test(a_place_knows_that_its_e_mail_was_corrected),
      cmocka_unit_test(a_place_that_is_gone_is_forgotten),
      cmocka_unit_test(few_are_looked_at_at_one_time),
      cmocka_unit_test(an_e_mail_is_compared_in_lower_case),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
