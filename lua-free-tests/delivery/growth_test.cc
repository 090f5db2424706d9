// What strangers can make somebody's record grow by, by nothing: a payment link
// takes any client_reference_id, so whoever likes can take what is free in
// anybody's name, as often as they like. docs/redis.md, "What is forgotten".
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/outcome.h"
#include "core/delivery/room.h"
#include "core/record/record.h"
#include "core/source/source.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using test::MemoryRedis;
using test::Time;

constexpr Time kStart = 1'767'225'600, kDay = 24 * 3600;
const std::string kVictim = "entitle:live:{u:victim}";

DeliveryResult tell(MemoryRedis& redis, const std::string& body) {
  Event event = test::event(body);
  DeliveryOptions options = test::options();
  options.now = event.head.created;
  return test::run(redis, deliver(facts_of(event, test::default_options()),
                                  event.head, options));
}

bool has(const MemoryRedis& redis, const std::string& source) {
  return redis.field(kVictim, "source:" + source).has_value();
}

std::size_t bytes_of_record(const MemoryRedis& redis) {
  std::size_t bytes = 0;
  const MemoryRedis::Value* value = redis.find(kVictim);
  if (value == nullptr) return 0;
  for (const auto& [field, text] : std::get<MemoryRedis::Hash>(*value)) {
    bytes += field.size() + text.size();
  }
  return bytes;
}

// As long as Stripe's own.
std::string id(const std::string& kind, int n) {
  std::size_t length = kind == "cs_" ? 66 : 28;
  std::string number = std::to_string(1'000'000 + n);
  return kind + std::string(length - kind.size() - number.size(), 'x') + number;
}

test::Session checkout(int n) {
  test::Session session{.id = id("cs_", n), .customer = ""};
  session.payment_status = "no_payment_required";
  session.payment_link = id("plink_", 1);
  session.client_reference_id = "victim";
  return session;
}

std::string completed(int n, const test::Session& session) {
  return test::session_event({id("evt_s", n), kStart + n}, "completed",
                             session);
}

// What is told of the nth stranger's purchase.
using Stranger = std::function<std::vector<std::string>(int n)>;

std::vector<std::string> free_purchase(int n) {
  return {completed(n, checkout(n))};
}

std::vector<std::string> free_purchase_of_a_customer(int n) {
  test::Session session = checkout(n);
  session.customer = id("cus_", n);
  return {completed(n, session)};
}

// A voucher that is never paid.
std::vector<std::string> unpaid(int n) {
  test::Session session = checkout(n);
  session.payment_status = "unpaid";
  session.payment_intent = id("pi_", n);
  return {completed(n, session)};
}

std::vector<std::string> trial(int n) {
  test::Session session = checkout(n);
  session.customer = id("cus_", n);
  session.mode = "subscription";
  session.subscription = id("sub_", n);
  test::Subscription sub{.id = session.subscription,
                         .customer = session.customer};
  sub.status = "trialing";
  sub.trial_end = kStart + n + 14 * kDay;
  sub.items = {test::item("pro", *sub.trial_end)};
  test::Invoice invoice{.id = id("in_", n),
                        .customer = sub.customer,
                        .subscription = sub.id,
                        .items = sub.items};
  invoice.free = true;
  return {
      completed(n, session),
      test::subscription_event({id("evt_c", n), kStart + n}, "created", sub),
      test::invoice_event({id("evt_i", n), kStart + n}, "paid", invoice),
      test::summary_event({id("evt_f", n), kStart + n}, sub.customer,
                          {"sso", "export"}, false)};
}

std::vector<std::string> trial_that_ended(int n) {
  std::vector<std::string> told = trial(n);
  test::Subscription sub{.id = id("sub_", n), .customer = id("cus_", n)};
  sub.status = "canceled";
  sub.ended_at = kStart + n;
  sub.items = {test::item("pro", kStart + n)};
  told.push_back(
      test::subscription_event({id("evt_d", n), kStart + n}, "deleted", sub));
  return told;
}

void tell_all(MemoryRedis& redis, const Stranger& stranger, int from, int to) {
  for (int n = from; n < to; ++n) {
    for (const std::string& body : stranger(n)) {
      DeliveryResult result = tell(redis, body);
      if (result.outcome == Outcome::not_stored) {
        fail_msg("%d: %s", n, result.error.c_str());
      }
    }
  }
}

// ENTITLE_GROWTH_MOST: how many strangers there are in all, instead of
// `enough` to fill what there is for them (5,000 take minutes).
int most_strangers(int enough) {
  const char* said = std::getenv("ENTITLE_GROWTH_MOST");
  return said == nullptr ? enough : std::atoi(said);
}

// After the first hundred nothing is added, or up to `most` bytes.
void assert_bounded(const char* what, const Stranger& stranger,
                    std::size_t most, int enough = 300) {
  MemoryRedis redis;
  tell(redis,
       test::session_event({"evt_own", kStart - kDay}, "completed",
                           {.id = "cs_own", .client_reference_id = "victim"}));
  const std::size_t own = bytes_of_record(redis);
  int told = 0;
  std::printf("%s:", what);
  for (int step : {0, 100, most_strangers(enough)}) {
    tell_all(redis, stranger, told, step);
    told = step;
    std::printf(" %zu", bytes_of_record(redis));
    assert_true(has(redis, "cs_own"));
    if (bytes_of_record(redis) > own + most) fail_msg("too many");
  }
  std::printf(" bytes\n");
}

constexpr std::size_t kMarks = Record::kMaxMarks * 90 + 40;
constexpr std::size_t kGifts = 8 * 420;

void free_purchases_add_eight_at_most(void**) {
  assert_bounded("free", free_purchase, kMarks + kGifts);
}

void free_purchases_of_customers_add_eight_at_most(void**) {
  assert_bounded("free, customers", free_purchase_of_a_customer,
                 kMarks + kGifts);
}

constexpr std::size_t kOneMore = 4096;

void what_is_never_paid_adds_64_kib_at_most(void**) {
  assert_bounded("unpaid", unpaid, kMarks + kMaxFreeBytes + kOneMore);
}

void trials_add_64_kib_at_most(void**) {
  assert_bounded("trials", trial, kMarks + kMaxFreeBytes + kOneMore, 120);
}

void trials_that_ended_add_64_kib_at_most(void**) {
  assert_bounded("ended trials", trial_that_ended,
                 kMarks + kMaxFreeBytes + kOneMore, 120);
}

// --- and what is paid is taken as ever ---------------------------------------

test::Session paid(int n, const std::string& status) {
  test::Session session = checkout(n);
  session.payment_status = status;
  session.payment_intent = id("pi_", n);
  return session;
}

void who_pays_is_taken_however_much_is_unpaid(void**) {
  MemoryRedis redis;
  tell_all(redis, unpaid, 0, 400);
  DeliveryResult waiting = tell(redis, completed(900, paid(900, "unpaid")));
  assert_true(waiting.outcome == Outcome::parked);
  assert_non_null(
      std::strstr(waiting.error.c_str(), "is full of what cost nothing"));
  assert_false(has(redis, id("cs_", 900)));
  // It is paid, by another event: what waited comes along.
  DeliveryResult result = tell(
      redis, test::session_event({id("evt_p", 900), kStart + kDay},
                                 "async_payment_succeeded", paid(900, "paid")));
  assert_true(result.user.has_value());
  std::optional<Source> source = Source::decode(
      redis.field(kVictim, "source:" + id("cs_", 900)).value_or(""));
  assert_true(source.has_value());
  assert_int_equal(source->sessions.size(), 2);

  tell(redis, completed(901, paid(901, "paid")));
  assert_true(has(redis, id("cs_", 901)));
}

void a_trial_that_waited_is_taken_when_it_is_paid(void**) {
  MemoryRedis redis;
  tell_all(redis, trial, 0, 100);
  tell_all(redis, trial, 900, 901);
  assert_false(has(redis, id("sub_", 900)));
  test::Subscription sub{.id = id("sub_", 900), .customer = id("cus_", 900)};
  sub.items = {test::item("pro", kStart + 60 * kDay)};
  tell(redis, test::subscription_event({"evt_active", kStart + 15 * kDay},
                                       "updated", sub));
  assert_true(has(redis, id("sub_", 900)));
}

// Nothing that ended opens: not even what was told late of what waits.
void what_ended_while_it_waited_stays_shut(void**) {
  MemoryRedis redis;
  tell_all(redis, trial, 0, 100);
  std::vector<std::string> told = trial_that_ended(900);
  tell(redis, told.back());
  for (const std::string& late : told) tell(redis, late);
  std::optional<Source> source =
      Source::decode(redis
                         .field("entitle:live:{p:" + id("cus_", 900) + "}",
                                "source:" + id("sub_", 900))
                         .value_or(""));
  assert_true(source.has_value());
  assert_true(source->snapshots.front().terminal());
  assert_false(has(redis, id("sub_", 900)));
}

void an_end_of_what_is_there_is_taken(void**) {
  MemoryRedis redis;
  tell_all(redis, trial, 0, 100);
  tell(redis, trial_that_ended(3).back());
  std::optional<Source> source = Source::decode(
      redis.field(kVictim, "source:" + id("sub_", 3)).value_or(""));
  assert_true(source.has_value());
  assert_true(source->snapshots.front().terminal());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(free_purchases_add_eight_at_most),
      cmocka_unit_test(free_purchases_of_customers_add_eight_at_most),
      cmocka_unit_test(what_is_never_paid_adds_64_kib_at_most),
      cmocka_unit_test(trials_add_64_kib_at_most),
      cmocka_unit_test(trials_that_ended_add_64_kib_at_most),
      cmocka_unit_test(who_pays_is_taken_however_much_is_unpaid),
      cmocka_unit_test(a_trial_that_waited_is_taken_when_it_is_paid),
      cmocka_unit_test(what_ended_while_it_waited_stays_shut),
      cmocka_unit_test(an_end_of_what_is_there_is_taken),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
