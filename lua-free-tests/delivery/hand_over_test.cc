// A browser bought, and then somebody logs in with it.
#include "core/delivery/hand_over.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/delivery/grant.h"
#include "core/delivery/link.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

const char* const kBrowser = "guest:AAECAwQFBgcICQoLDA0ODw";

// What the browser's checkout says, `said` being when it began.
Delivered buys(std::string_view event, std::string_view place,
               std::string_view session, std::int64_t said = kNow - 60) {
  return purchase(event, place, session,
                  {about(session, user_claim(event, said, kBrowser))});
}

void happens(MemoryRedis& redis, const Delivered& delivered) {
  DeliveryResult result = run(redis, entitle::test::deliver(delivered));
  assert_string_equal(result.error.c_str(), "");
}

HandedOver logs_in(MemoryRedis& redis, const char* name,
                   const char* browser = kBrowser) {
  HandedOver handed = *hold(
      redis,
      hand_over(user(browser), unix_time(kNow - 90), user(name), options()));
  assert_string_equal(handed.error.c_str(), "");
  return handed;
}

bool has(const MemoryRedis& redis, const char* name, const char* source) {
  return redis
      .field("entitle:live:{u:" + std::string(name) + '}',
             "source:" + std::string(source))
      .has_value();
}

std::string version_of(const MemoryRedis& redis, const char* name) {
  return redis.field("entitle:live:{u:" + std::string(name) + '}', "version")
      .value_or("(none)");
}

void what_the_browser_bought_is_the_users(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cs_1", "cs_1"));
  happens(redis, buys("evt_2", "cus_2", "cs_2"));
  assert_true(has(redis, kBrowser, "cs_1") && has(redis, kBrowser, "cs_2"));
  const HandedOver handed = logs_in(redis, "ada");
  assert_int_equal(handed.sources.size(), 2);
  assert_false(handed.left);
  assert_true(has(redis, "ada", "cs_1") && has(redis, "ada", "cs_2"));
  assert_false(has(redis, kBrowser, "cs_1") || has(redis, kBrowser, "cs_2"));
  assert_true(handed.raised.has_value());
  assert_string_equal(std::to_string(handed.raised->second).c_str(),
                      version_of(redis, "ada").c_str());
  const auto& log =
      std::get<MemoryRedis::List>(*redis.find("entitle:live:{u:ada}:log"));
  assert_non_null(std::strstr(log.front().c_str(), R"("type":"hand_over")"));
}

void who_comes_first_keeps_it(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cs_1", "cs_1"));
  logs_in(redis, "ada");
  assert_int_equal(logs_in(redis, "eve").sources.size(), 0);
  assert_true(has(redis, "ada", "cs_1"));
  assert_false(has(redis, "eve", "cs_1"));
}

void nothing_bought_is_one_read(void**) {
  MemoryRedis redis;
  const std::string before = redis.dump();
  const HandedOver handed = logs_in(redis, "ada");
  assert_true(handed.sources.empty() && !handed.raised);
  assert_int_equal(redis.commands(), 1);
  assert_string_equal(redis.dump().c_str(), before.c_str());
}

void another_browsers_stays(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  happens(
      redis,
      purchase("evt_2", "cus_1", "cs_2",
               {about("cs_2", user_claim("evt_2", kNow - 9, "guest:other"))}));
  logs_in(redis, "ada");
  assert_true(has(redis, "ada", "cs_1"));
  assert_true(has(redis, "guest:other", "cs_2"));
}

// The checkout is told of again, the subscription of the session comes late, a
// cancellation comes: all of it is the user's.
void what_comes_later_of_it_is_the_users_too(void**) {
  MemoryRedis redis;
  const Delivered bought = buys("evt_1", "cus_1", "cs_1");
  happens(redis, bought);
  logs_in(redis, "ada");
  happens(redis, bought);
  happens(redis, buys("evt_9", "cus_1", "cs_1"));
  assert_true(has(redis, "ada", "cs_1"));
  assert_false(has(redis, kBrowser, "cs_1"));
  // Nobody is named for it: it follows the customer.
  happens(redis, cancels("evt_3", "sub_1"));
  assert_true(has(redis, "ada", "sub_1"));
}

void a_subscription_that_comes_after_the_login(void**) {
  MemoryRedis redis;
  Delivered bought = buys("evt_1", "cus_1", "cs_1");
  Source& source = bought.facts.places[0].sources.begin()->second;
  SessionFact fact = *source.sessions.begin();
  fact.subscription = "sub_1";
  source.sessions = {};
  source.sessions.insert(fact);
  bought.facts.places[0].claims.push_back(
      about("sub_1", user_claim("evt_1", kNow - 60, kBrowser)));
  happens(redis, bought);
  logs_in(redis, "ada");
  Delivered runs = subscribes("evt_2", "sub_1", "nobody");
  runs.facts.places[0].claims.clear();
  happens(redis, runs);
  assert_true(has(redis, "ada", "sub_1"));
  assert_false(has(redis, kBrowser, "sub_1"));
}

// Its refund may come last: it is of the payment, which goes along.
void a_refund_that_comes_after_the_login(void**) {
  MemoryRedis redis;
  Delivered bought = buys("evt_1", "cus_1", "cs_1");
  Source& source = bought.facts.places[0].sources.begin()->second;
  SessionFact fact = *source.sessions.begin();
  fact.payment_intent = "pi_1";
  source.sessions = {};
  source.sessions.insert(fact);
  bought.facts.places[0].claims.push_back(
      about("pi_1", user_claim("evt_1", kNow - 60, kBrowser)));
  happens(redis, bought);
  logs_in(redis, "ada");
  happens(redis, purchase("evt_2", "cus_1", "pi_1"));  // a fact of it
  assert_true(has(redis, "ada", "pi_1"));
  assert_false(has(redis, kBrowser, "pi_1"));
}

// Stripe's clock may be ahead of ours.
void it_is_later_than_the_checkout_whatever_the_clocks_say(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cs_1", "cs_1", kNow + 300));
  assert_int_equal(logs_in(redis, "ada").sources.size(), 1);
  assert_true(has(redis, "ada", "cs_1"));
  happens(redis, buys("evt_2", "cs_1", "cs_1", kNow + 300));
  assert_true(has(redis, "ada", "cs_1"));
}

void what_an_operator_linked_to_the_browser_goes_along(void**) {
  for (const char* source : {"", "sub_1"}) {
    MemoryRedis redis;
    happens(redis, subscribes("evt_1", "sub_1", "bob"));
    std::vector<std::string> sources;
    if (*source != '\0') sources.emplace_back(source);
    DeliveryOptions before = options();
    before.now -= std::chrono::hours(1);
    run(redis, link_to_user("cus_1", sources, user(kBrowser),
                            OperatorsWord{"olga", "cookies cleared"}, before));
    assert_true(has(redis, kBrowser, "sub_1"));
    assert_int_equal(logs_in(redis, "ada").sources.size(), 1);
    assert_true(has(redis, "ada", "sub_1"));
    assert_false(has(redis, kBrowser, "sub_1"));
    happens(redis, subscribes("evt_2", "sub_1", "bob", kNow + 100));
    assert_true(has(redis, "ada", "sub_1"));
  }
}

void a_later_word_of_an_operator_moves_it_on(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  logs_in(redis, "ada");
  DeliveryOptions later = options();
  later.now += std::chrono::hours(1);
  run(redis, link_to_user("cus_1", {"cs_1"}, user("bob"),
                          OperatorsWord{"olga", ""}, later));
  assert_true(has(redis, "bob", "cs_1"));
  assert_false(has(redis, "ada", "cs_1"));
}

void what_was_granted_stays(void**) {
  MemoryRedis redis;
  hold(redis, grant_to_user(user(kBrowser), {*Identifier::parse("price_pro")},
                            kForever, OperatorsWord{"olga", ""}, options()));
  const HandedOver handed = logs_in(redis, "ada");
  assert_true(handed.sources.empty() && handed.left);
}

void a_refunded_one_goes_along(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  happens(redis, cancels("evt_2", "sub_1"));
  assert_true(has(redis, kBrowser, "sub_1"));
  logs_in(redis, "ada");
  assert_true(has(redis, "ada", "sub_1") && has(redis, "ada", "cs_1"));
}

// Without Stripe: the next request alone does.
void broken_off_anywhere_the_next_login_finishes_it(void**) {
  for (int steps = 0;; steps++) {
    MemoryRedis redis;
    happens(redis, buys("evt_1", "cus_1", "cs_1"));
    happens(redis, buys("evt_2", "cs_2", "cs_2"));
    const bool whole = hold(redis,
                            hand_over(user(kBrowser), unix_time(kNow - 90),
                                      user("ada"), options()),
                            steps)
                           .has_value();
    const HandedOver handed = logs_in(redis, "ada");
    for (const char* source : {"cs_1", "cs_2"}) {
      if (!has(redis, "ada", source) || has(redis, kBrowser, source)) {
        fail_msg("%s, broken off after %d steps", source, steps);
      }
    }
    assert_false(handed.left);
    if (whole) break;
  }
}

// Whoever it is that comes next with that id: what is durable stays the
// first's.
void broken_off_anywhere_it_is_one_users(void**) {
  for (int steps = 0;; steps++) {
    MemoryRedis redis;
    happens(redis, buys("evt_1", "cus_1", "cs_1"));
    const bool whole = hold(redis,
                            hand_over(user(kBrowser), unix_time(kNow - 90),
                                      user("ada"), options()),
                            steps)
                           .has_value();
    const bool said =
        redis
            .field("entitle:live:{u:" + std::string(kBrowser) + '}',
                   "handed_to")
            .has_value();
    logs_in(redis, "eve");
    assert_false(has(redis, kBrowser, "cs_1"));
    assert_int_equal(has(redis, "ada", "cs_1"), said);
    assert_int_equal(has(redis, "eve", "cs_1"), !said);
    if (whole) break;
  }
}

void an_id_that_was_called_in_hands_nothing_over(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  const std::string key = "entitle:live:{u:" + std::string(kBrowser) + '}';
  redis.run({"HSET", key, "not_before", std::to_string(kNow - 89)});
  const std::string before = redis.dump();
  assert_int_equal(logs_in(redis, "eve").sources.size(), 0);
  assert_string_equal(redis.dump().c_str(), before.c_str());
  redis.run({"HSET", key, "not_before", std::to_string(kNow - 90)});
  assert_int_equal(logs_in(redis, "ada").sources.size(), 1);
}

// Between the look at the record and the claim.
void called_in_meanwhile_hands_nothing_over(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  auto talk =
      hand_over(user(kBrowser), unix_time(kNow - 90), user("eve"), options());
  MemoryRedis::Connection connection;
  for (int step = 0; const Step* next = talk.next(); step++) {
    if (step == 1) {
      redis.run({"HSET", "entitle:live:{u:" + std::string(kBrowser) + '}',
                 "not_before", std::to_string(kNow)});
    }
    std::vector<Reply> replies;
    for (const Command& command : next->commands) {
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  assert_string_equal(talk.result().error.c_str(), "");
  assert_false(has(redis, "eve", "cs_1"));
  assert_true(has(redis, kBrowser, "cs_1"));
}

void what_is_paid_by_its_reference_later_is_the_users(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  logs_in(redis, "ada");
  for (const char* place : {"cus_1", "cs_2"}) {
    const std::string source =
        *place == 'c' && place[1] == 'u' ? "cs_3" : place;
    const DeliveryResult result =
        run(redis, entitle::test::deliver(
                       buys("evt_" + source, place, source, kNow + 500)));
    assert_string_equal(result.error.c_str(), "");
    assert_int_equal(result.handed_on.size(), 1);
    assert_string_equal(result.handed_on[0].user.str().c_str(), "ada");
    assert_true(has(redis, "ada", source.c_str()));
    assert_false(has(redis, kBrowser, source.c_str()));
  }
  logs_in(redis, "eve");
  assert_true(has(redis, "ada", "cs_2"));
}

void broken_off_anywhere_the_next_delivery_hands_it_on(void**) {
  for (int steps = 0;; steps++) {
    MemoryRedis redis;
    happens(redis, buys("evt_1", "cus_1", "cs_1"));
    logs_in(redis, "ada");
    const Delivered late = buys("evt_2", "cs_2", "cs_2");
    const bool whole =
        hold(redis, entitle::test::deliver(late), steps).has_value();
    happens(redis, late);
    if (!has(redis, "ada", "cs_2") || has(redis, kBrowser, "cs_2")) {
      fail_msg("broken off after %d steps", steps);
    }
    if (whole) break;
  }
}

// A webhook and a login, in every order of their steps.
void a_webhook_during_the_login_is_not_left_behind(void**) {
  for (unsigned order = 0; order < 4096; order++) {
    MemoryRedis redis;
    happens(redis, buys("evt_1", "cus_1", "cs_1"));
    auto login = hand_over(user(kBrowser), unix_time(kNow - 90), user("ada"),
                           options(1));
    auto webhook = entitle::test::deliver(buys("evt_2", "cs_2", "cs_2"));
    MemoryRedis::Connection of_login, of_webhook;
    const auto step = [&](auto& talk, auto& connection) {
      const Step* next = talk.next();
      if (next == nullptr) return false;
      std::vector<Reply> replies;
      for (const Command& command : next->commands) {
        replies.push_back(redis.run(connection, command));
      }
      talk.resume(std::move(replies));
      return true;
    };
    for (unsigned bit = 0; bit < 12; bit++) {
      if ((order >> bit & 1) != 0) {
        step(login, of_login);
      } else {
        step(webhook, of_webhook);
      }
    }
    while (step(login, of_login) || step(webhook, of_webhook)) {
    }
    assert_string_equal(login.result().error.c_str(), "");
    assert_string_equal(webhook.result().error.c_str(), "");
    for (const char* source : {"cs_1", "cs_2"}) {
      if (!has(redis, "ada", source) || has(redis, kBrowser, source)) {
        fail_msg("%s, order %u", source, order);
      }
    }
  }
}

// Two requests of one page at once, and the event once more between them, in
// every order of their first steps.
void all_at_once_it_ends_the_same(void**) {
  for (unsigned order = 0; order < 256; order++) {
    MemoryRedis redis;
    happens(redis, buys("evt_1", "cus_1", "cs_1"));
    auto one = hand_over(user(kBrowser), unix_time(kNow - 90), user("ada"),
                         options(1));
    auto two = hand_over(user(kBrowser), unix_time(kNow - 90), user("ada"),
                         options(2));
    MemoryRedis::Connection of_one, of_two;
    const auto step = [&](auto& talk, auto& connection) {
      const Step* next = talk.next();
      if (next == nullptr) return false;
      std::vector<Reply> replies;
      for (const Command& command : next->commands) {
        replies.push_back(redis.run(connection, command));
      }
      talk.resume(std::move(replies));
      return true;
    };
    for (unsigned bit = 0; bit < 8; bit++) {
      if ((order >> bit & 1) != 0) {
        step(one, of_one);
      } else {
        step(two, of_two);
      }
    }
    while (step(one, of_one) || step(two, of_two)) {
    }
    assert_string_equal(one.result().error.c_str(), "");
    assert_string_equal(two.result().error.c_str(), "");
    if (!has(redis, "ada", "cs_1") || has(redis, kBrowser, "cs_1")) {
      fail_msg("order %u", order);
    }
  }
}

void redis_that_refuses_is_told(void**) {
  MemoryRedis redis;
  happens(redis, buys("evt_1", "cus_1", "cs_1"));
  redis.refuse_writes("OOM command not allowed");
  const HandedOver handed = *hold(
      redis,
      hand_over(user(kBrowser), unix_time(kNow - 90), user("ada"), options()));
  assert_non_null(std::strstr(handed.error.c_str(), "OOM"));
  redis.refuse_writes("");
  logs_in(redis, "ada");
  assert_true(has(redis, "ada", "cs_1"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_the_browser_bought_is_the_users),
      cmocka_unit_test(who_comes_first_keeps_it),
      cmocka_unit_test(nothing_bought_is_one_read),
      cmocka_unit_test(another_browsers_stays),
      cmocka_unit_test(what_comes_later_of_it_is_the_users_too),
      cmocka_unit_test(a_subscription_that_comes_after_the_login),
      cmocka_unit_test(a_refund_that_comes_after_the_login),
      cmocka_unit_test(it_is_later_than_the_checkout_whatever_the_clocks_say),
      cmocka_unit_test(what_an_operator_linked_to_the_browser_goes_along),
      cmocka_unit_test(a_later_word_of_an_operator_moves_it_on),
      cmocka_unit_test(what_was_granted_stays),
      cmocka_unit_test(a_refunded_one_goes_along),
      cmocka_unit_test(broken_off_anywhere_the_next_login_finishes_it),
      cmocka_unit_test(broken_off_anywhere_it_is_one_users),
      cmocka_unit_test(an_id_that_was_called_in_hands_nothing_over),
      cmocka_unit_test(called_in_meanwhile_hands_nothing_over),
      cmocka_unit_test(what_is_paid_by_its_reference_later_is_the_users),
      cmocka_unit_test(broken_off_anywhere_the_next_delivery_hands_it_on),
      cmocka_unit_test(a_webhook_during_the_login_is_not_left_behind),
      cmocka_unit_test(all_at_once_it_ends_the_same),
      cmocka_unit_test(redis_that_refuses_is_told),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
