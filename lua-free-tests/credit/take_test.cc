// Taken never exceeds put: several who take at once, command by command in any
// order, who die anywhere, and what they hold in advance.
#include "core/credit/take.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/credit/wallet.h"
#include "lua-free-tests/support/memory_redis.h"

using namespace entitle;
using test::MemoryRedis;

namespace {

constexpr std::int64_t kNow = 1'767'225'600;
constexpr char kUsed[] = "entitle:live:{u:ada}:used:api";

CreditQuestion question() {
  static const CreditLines lines;
  return {Keys("entitle:", Mode::live),
          *User::from("ada"),
          "api",
          &lines,
          Policy{},
          unix_time(kNow),
          {}};
}

CreditAccount with(std::int64_t put, std::int64_t of_period = 0) {
  CreditAccount account;
  if (of_period > 0) {
    account.pots.push_back({unix_time(kNow - 100), unix_time(kNow + 900),
                            unix_time(kNow + 900), of_period});
  }
  if (put > 0) account.pots.push_back({{}, kForever, kForever, put});
  return account;
}

template <class T>
T& run(MemoryRedis& redis, Conversation<T>& talk) {
  while (const Step* step = talk.next()) {
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      replies.push_back(redis.run(command));
    }
    talk.resume(std::move(replies));
  }
  return talk.result();
}

CreditsTaken take(MemoryRedis& redis, const CreditAccount& account,
                  std::int64_t need, std::int64_t want) {
  CreditTaking taking;
  taking.account = account;
  taking.need = need;
  taking.want = want;
  auto talk = take_credits(question(), taking);
  return run(redis, talk);
}

std::string counter(const MemoryRedis& redis, const std::string& key = kUsed) {
  const auto* value = redis.find(key);
  return value == nullptr ? "-" : std::get<std::string>(*value);
}

void a_block_is_taken_at_once(void**) {
  MemoryRedis redis;
  const std::size_t before = redis.commands();
  const CreditsTaken taken = take(redis, with(1000), 1, 20);
  assert_true(taken.error.empty());
  assert_int_equal(sum(taken.shares), 20);
  assert_string_equal(counter(redis).c_str(), "20");
  assert_int_equal(redis.commands() - before, 1);
}

void what_is_too_much_is_given_back(void**) {
  MemoryRedis redis;
  redis.run({"INCRBY", kUsed, "993"});
  const CreditsTaken taken = take(redis, with(1000), 1, 20);
  assert_int_equal(sum(taken.shares), 7);
  assert_string_equal(counter(redis).c_str(), "1000");
  const CreditsTaken none = take(redis, with(1000), 1, 20);
  assert_true(none.error.empty());
  assert_int_equal(sum(none.shares), 0);
  assert_string_equal(counter(redis).c_str(), "1000");
  assert_int_equal(credits_left(with(1000), none.uses), 0);
}

void a_cost_may_come_out_of_two_pots(void**) {
  MemoryRedis redis;
  const CreditsTaken taken = take(redis, with(10, 3), 5, 5);
  assert_int_equal(sum(taken.shares), 5);
  const std::string period =
      std::string(kUsed) + ":" + std::to_string(kNow - 100);
  assert_string_equal(counter(redis, period).c_str(), "3");
  assert_true(std::stoll(counter(redis)) >= 2);
  assert_int_equal(*redis.ttl(period), kNow + 900 + kCounterKept.count());
  assert_false(redis.ttl(kUsed).has_value());
}

void near_the_end_less_is_taken_in_advance(void**) {
  MemoryRedis redis;
  redis.run({"INCRBY", kUsed, "984"});
  CreditTaking taking;
  taking.account = with(1000);
  taking.uses = {{UnixTime{}, 984}};
  taking.need = 1;
  taking.want = 20;
  auto talk = take_credits(question(), taking);
  assert_int_equal(sum(run(redis, talk).shares), 2);
}

void what_redis_forgot_is_not_given_twice(void**) {
  MemoryRedis redis;
  CreditTaking taking;
  taking.account = with(1000);
  taking.back = {{UnixTime{}, kForever, 15}};
  auto talk = take_credits(question(), taking);
  const CreditsTaken taken = run(redis, talk);
  assert_true(taken.settled);
  assert_string_equal(counter(redis).c_str(), "0");
}

void a_debt_is_taken_whatever_is_left(void**) {
  MemoryRedis redis;
  redis.run({"INCRBY", kUsed, "99"});
  CreditTaking taking;
  taking.account = with(100);
  taking.debt = 7;
  taking.need = taking.want = 1;
  auto talk = take_credits(question(), taking);
  assert_int_equal(sum(run(redis, talk).shares), 0);
  assert_string_equal(counter(redis).c_str(), "106");
}

void an_error_takes_nothing_for_anybody(void**) {
  MemoryRedis redis;
  redis.refuse_writes("READONLY You can't write against a read only replica.");
  const CreditsTaken taken = take(redis, with(1000), 1, 20);
  assert_string_equal(taken.error.substr(0, 8).c_str(), "READONLY");
  assert_int_equal(sum(taken.shares), 0);
}

void too_few_replicas_are_an_error(void**) {
  CreditQuestion asked = question();
  asked.wait = {1, std::chrono::milliseconds(50)};
  CreditTaking taking;
  taking.account = with(1000);
  taking.need = taking.want = 1;
  auto talk = take_credits(asked, taking);
  const Step* step = talk.next();
  assert_string_equal(step->commands.back()[0].c_str(), "WAIT");
  talk.resume(
      {{Reply::Type::integer, 1, {}, {}}, {Reply::Type::integer, 0, {}, {}}});
  assert_null(talk.next());
  assert_false(talk.result().error.empty());
  assert_true(talk.result().shares.empty());
}

void the_record_says_what_was_put(void**) {
  MemoryRedis redis;
  CreditMap map;
  map.add("api", *Identifier::parse("metadata=bonus"), 50, false);
  CreditQuestion asked = question();
  asked.lines = map.find("api");
  redis.run(
      {"HSET", "entitle:live:{u:ada}", "version", "1", "source:grant:1",
       R"({"place":"grant:1","granted":{"identifiers":["metadata=bonus"],)"
       R"("from":1767225500}})"});
  CreditTaking taking;
  taking.need = taking.want = 8;
  auto talk = take_credits(asked, taking);
  assert_int_equal(sum(run(redis, talk).shares), 8);
  auto look = take_credits(asked, {});
  const CreditsTaken seen = run(redis, look);
  assert_int_equal(seen.account.put(), 50);
  assert_int_equal(credits_left(seen.account, seen.uses), 42);
  redis.run({"HSET", "entitle:live:{u:ada}", "version", "no number"});
  auto broken = take_credits(asked, taking);
  assert_true(run(redis, broken).unreadable);
}

// --- several at once ---------------------------------------------------------

struct Taker {
  CreditWallet wallet;
  std::unique_ptr<Conversation<CreditsTaken>> talk;
  std::int64_t cost = 0;
  std::int64_t served = 0;
  int refused = 0;
};

// Every taker takes and serves, sometimes gives back what it served, sometimes
// dies with what it holds; one command of one of them after the other.
void whatever_is_interleaved_no_more_is_served_than_was_put(void**) {
  int exhausted = 0;
  for (unsigned seed = 1; seed <= 600; ++seed) {
    std::mt19937 random(seed);
    MemoryRedis redis;
    const std::int64_t put = 20 + random() % 80;
    const CreditAccount account = with(put - put / 3, put / 3);
    std::vector<Taker> takers(2 + random() % 6);
    const bool one_cost = random() % 2 == 0;
    const bool anybody_dies = random() % 2 == 0;
    std::int64_t served_by_dead = 0, lost = 0;
    for (int step = 0; step < 900; ++step) {
      Taker& taker = takers[random() % takers.size()];
      if (!taker.talk) {
        taker.cost = one_cost ? 1 : 1 + random() % 4;
        if (auto charge = taker.wallet.pay(taker.cost)) {
          if (random() % 10 == 0) {
            taker.wallet.put_back(*charge);
          } else {
            taker.served += taker.cost;
          }
          continue;
        }
        CreditTaking taking =
            taker.wallet.taking(taker.cost, 1 + random() % 10, unix_time(kNow));
        taking.account = account;
        if (random() % 8 == 0) taking.back = taker.wallet.release();
        taker.talk = std::make_unique<Conversation<CreditsTaken>>(
            take_credits(question(), taking));
      }
      const Step* next = taker.talk->next();
      if (next == nullptr) {
        taker.wallet.learn(taker.talk->result());
        taker.talk.reset();
        if (auto charge = taker.wallet.pay(taker.cost)) {
          taker.served += taker.cost;
        } else {
          ++taker.refused;
          ++exhausted;
        }
        continue;
      }
      std::vector<Reply> replies;
      for (const Command& command : next->commands) {
        replies.push_back(redis.run(command));
      }
      if (anybody_dies && random() % 150 == 0) {  // after it was sent
        served_by_dead += taker.served;
        taker = Taker{};
        ++lost;
        continue;
      }
      taker.talk->resume(std::move(replies));
    }
    std::int64_t served = served_by_dead;
    for (const Taker& taker : takers) served += taker.served;
    assert_true(served <= put);
    // All of them are served in the end, but for what the dead took along.
    for (Taker& taker : takers) {
      while (taker.talk) {
        if (taker.talk->next() == nullptr) {
          taker.wallet.learn(taker.talk->result());
          taker.talk.reset();
          break;
        }
        run(redis, *taker.talk);
      }
    }
    for (Taker& taker : takers) {
      CreditTaking taking;
      taking.account = account;
      taking.back = taker.wallet.release();
      auto talk = take_credits(question(), taking);
      run(redis, talk);
    }
    if (lost == 0) {
      const std::string period =
          std::string(kUsed) + ":" + std::to_string(kNow - 100);
      std::int64_t counted = 0;
      for (const std::string& key : {std::string(kUsed), period}) {
        const std::string text = counter(redis, key);
        if (text != "-") counted += std::stoll(text);
      }
      assert_int_equal(counted, served);
    }
  }
  assert_true(exhausted > 1000);
}

// --- the wallet --------------------------------------------------------------

CreditsTaken held(const CreditAccount& account,
                  std::vector<CreditShare> shares) {
  CreditsTaken taken;
  taken.account = account;
  taken.shares = std::move(shares);
  return taken;
}

void a_wallet_pays_out_of_what_is_over_first(void**) {
  const CreditAccount account = with(100, 100);
  const UnixTime from = account.pots[0].from;
  CreditWallet wallet;
  wallet.learn(
      held(account, {{{}, kForever, 5}, {from, account.pots[0].until, 3}}));
  assert_int_equal(wallet.held(), 8);
  const Charge charge = *wallet.pay(4);
  assert_int_equal(charge.size(), 2);
  assert_true(charge[0].from == from);
  assert_int_equal(charge[0].credits, 3);
  assert_int_equal(charge[1].credits, 1);
  assert_false(wallet.pay(5).has_value());
  wallet.put_back(charge);
  assert_true(wallet.pay(8).has_value());
}

void what_is_doubted_is_given_back_and_read_anew(void**) {
  const CreditAccount account = with(100);
  CreditWallet wallet;
  wallet.learn(held(account, {{{}, kForever, 5}}));
  assert_non_null(wallet.account(unix_time(kNow)));
  wallet.doubt();
  assert_null(wallet.account(unix_time(kNow)));
  assert_int_equal(wallet.held(), 0);
  const CreditTaking taking = wallet.taking(1, 20, unix_time(kNow));
  assert_false(taking.account.has_value());
  assert_int_equal(sum(taking.back), 5);
}

void an_account_is_read_anew_when_time_changes_it(void**) {
  CreditAccount account = with(100);
  account.same_until = unix_time(kNow + 10);
  CreditWallet wallet;
  wallet.learn(held(account, {}));
  assert_non_null(wallet.account(unix_time(kNow + 9)));
  assert_null(wallet.account(unix_time(kNow + 10)));
}

void all_that_is_held_can_be_given_back(void**) {
  CreditWallet wallet;
  wallet.learn(held(with(1000), {{{}, kForever, 50}}));
  assert_int_equal(sum(wallet.release()), 50);
  assert_true(wallet.owes_nothing());
}

void the_fields_are_as_the_draft_has_them(void**) {
  assert_string_equal(rate_limit_policy("api", 1000, std::nullopt).c_str(),
                      "\"api\";q=1000");
  assert_string_equal(rate_limit_policy("api", 5, Seconds{60}).c_str(),
                      "\"api\";q=5;w=60");
  assert_string_equal(
      rate_limit("api", 7, unix_time(kNow + 30), unix_time(kNow)).c_str(),
      "\"api\";r=7;t=30");
  assert_string_equal(
      rate_limit("api", 0, std::nullopt, unix_time(kNow)).c_str(),
      "\"api\";r=0");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_block_is_taken_at_once),
      cmocka_unit_test(what_is_too_much_is_given_back),
      cmocka_unit_test(a_cost_may_come_out_of_two_pots),
      cmocka_unit_test(near_the_end_less_is_taken_in_advance),
      cmocka_unit_test(what_redis_forgot_is_not_given_twice),
      cmocka_unit_test(a_debt_is_taken_whatever_is_left),
      cmocka_unit_test(an_error_takes_nothing_for_anybody),
      cmocka_unit_test(too_few_replicas_are_an_error),
      cmocka_unit_test(the_record_says_what_was_put),
      cmocka_unit_test(whatever_is_interleaved_no_more_is_served_than_was_put),
      cmocka_unit_test(a_wallet_pays_out_of_what_is_over_first),
      cmocka_unit_test(what_is_doubted_is_given_back_and_read_anew),
      cmocka_unit_test(an_account_is_read_anew_when_time_changes_it),
      cmocka_unit_test(all_that_is_held_can_be_given_back),
      cmocka_unit_test(the_fields_are_as_the_draft_has_them),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
