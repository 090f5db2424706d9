// Shops' years, delivered late, twice and in any order within 45 days, to one
// Redis: at every moment whoever paid is in, and nobody else, as an oracle says
// that has read the contract and not the code (support/truth.h).
//
// ENTITLE_SEED=n: the first shop, ENTITLE_SHOPS=n: how many.
#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/record/keys.h"
#include "core/record/record.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/shop.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/truth.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

constexpr Time kDay = 24 * 3600;
constexpr Time kLate = 45 * kDay - 3600;  // as late as an event may be
constexpr const char* kUsers[] = {"u0", "u1", "u2"};

using Complaint = std::optional<std::string>;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Arrival {
  Time at;
  std::size_t event;
};

// Most of them at once, some late, some again and again.
std::vector<Arrival> arrivals(const std::vector<Told>& told,
                              std::mt19937_64& random) {
  std::vector<Arrival> all;
  for (std::size_t n = 0; n < told.size(); ++n) {
    int times = random() % 4 == 0 ? 2 : 1;
    for (int k = 0; k < times; ++k) {
      Time late = random() % 3 == 0 ? static_cast<Time>(random() % kLate)
                                    : static_cast<Time>(random() % 5);
      all.push_back({told[n].at + late, n});
    }
  }
  std::stable_sort(
      all.begin(), all.end(),
      [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return all;
}

void tell(MemoryRedis& redis, const Told& told, Time now) {
  DeliveryOptions how = options();
  how.now = std::chrono::sys_time<std::chrono::milliseconds>(
      std::chrono::milliseconds(now * 1000));
  Event read = event(told.body);
  DeliveryResult result = run(redis, deliver(facts(told.body), read.head, how));
  if (result.outcome == Outcome::not_stored) {
    fail_msg("%s is not stored: %s", told.event.c_str(), result.error.c_str());
  }
}

Sources sources_of_user(MemoryRedis& redis, const char* name) {
  Reply reply = redis.run({"HGETALL", options().keys.record(user(name))});
  auto record = Record::decode(reply);
  if (!record) fail_msg("the record of %s cannot be read", name);
  return record->sources;
}

// By source: what it gives at that time.
std::map<std::string, std::set<std::string>> given(
    const std::vector<Projection>& projections, Time now) {
  std::map<std::string, std::set<std::string>> all;
  for (const Projection& one : projections) {
    if (!judge(one, {}, unix_time(now)).effective) continue;
    for (std::string& text : texts(one.identifiers)) {
      all[one.source].insert(std::move(text));
    }
  }
  return all;
}

std::string days(Time time) {
  if (time == kNever) return "ever";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f",
                static_cast<double>(time - 1'767'225'600) / kDay);
  return text;
}

// Now, in the far future, and some times at which something ends or goes on.
std::set<Time> instants(const std::map<std::string, Right>& all, Time now,
                        std::mt19937_64& random) {
  std::set<Time> times;
  for (const auto& [source, right] : all) {
    for (const auto& [identifier, span] : right.identifiers) {
      for (Time end : {span.sure - 1, span.sure, span.maybe}) {
        if (end > now && end < kNever - 1) times.insert(end);
      }
    }
  }
  constexpr std::size_t kSome = 8;
  std::set<Time> some = {now, now + 4000 * kDay};
  std::sample(times.begin(), times.end(), std::inserter(some, some.end()),
              kSome, random);
  return some;
}

Complaint user_has(const char* name, const Sources& sources,
                   const std::map<std::string, Right>& truth, Time now,
                   std::mt19937_64& random) {
  std::vector<Projection> projections = project(sources);
  for (Time time : instants(truth, now, random)) {
    auto all = given(projections, time);
    auto say = [&](const std::string& source, const std::string& identifier,
                   const char* what) {
      std::string text = "on day " + days(now) + " " + name + " " + what + " " +
                         identifier + " of " + source + " on day " + days(time);
      auto right = truth.find(source);
      if (right == truth.end()) return text + ", of which nothing was told";
      text += ", which is " + right->second.owner + "'s and gives";
      for (const auto& [one, span] : right->second.identifiers) {
        text +=
            ' ' + one + " until " + days(span.sure) + '/' + days(span.maybe);
      }
      for (const Projection& one : projections) {
        if (one.source != source) continue;
        Verdict verdict = judge(one, {}, unix_time(now));
        text += "\nfound until " + days(to_unix(verdict.until)) + ':';
        for (const std::string& each : texts(one.identifiers)) {
          text += ' ' + each;
        }
      }
      auto held = sources.find(source);
      return text + "\n" + (held == sources.end() ? "" : held->second.encode());
    };
    for (const auto& [source, right] : truth) {
      if (right.owner != name) continue;
      for (const auto& [identifier, span] : right.identifiers) {
        if (time < span.sure && !all[source].contains(identifier)) {
          return say(source, identifier, "has not");
        }
      }
    }
    for (const auto& [source, identifiers] : all) {
      auto right = truth.find(source);
      for (const std::string& identifier : identifiers) {
        if (right == truth.end() || right->second.owner != name) {
          return say(source, identifier, "has");
        }
        auto span = right->second.identifiers.find(identifier);
        if (span == right->second.identifiers.end() ||
            time >= span->second.maybe) {
          return say(source, identifier, "has");
        }
      }
    }
  }
  return std::nullopt;
}

struct Counts {
  std::size_t shops = 0, events = 0, looks = 0, rights = 0, undecided = 0;
  Variety variety;
};

void add(Variety& all, const Variety& one) {
  all.more_items += one.more_items;
  all.more_lines += one.more_lines;
  all.mixed_intervals += one.mixed_intervals;
  all.arrears += one.arrears;
  all.add_ons_by_invoice += one.add_ons_by_invoice;
  all.shared_customers += one.shared_customers;
  all.by_invoice_only += one.by_invoice_only;
}

Complaint looks_right(MemoryRedis& redis, const std::vector<Told>& heard,
                      Time now, std::mt19937_64& random, Counts& counts) {
  std::map<std::string, Right> truth = rights(heard);
  ++counts.looks;
  for (const auto& [source, right] : truth) {
    for (const auto& [identifier, span] : right.identifiers) {
      ++counts.rights;
      counts.undecided += span.sure != span.maybe;
    }
  }
  for (const char* name : kUsers) {
    if (Complaint complaint =
            user_has(name, sources_of_user(redis, name), truth, now, random)) {
      return complaint;
    }
  }
  return std::nullopt;
}

Complaint shop_holds(std::uint64_t seed, int steps, Counts& counts) {
  std::vector<Told> told = make_shop(seed, steps);
  if (told.empty()) return std::nullopt;
  ++counts.shops;
  add(counts.variety, variety_of(told));
  std::mt19937_64 random(seed);
  MemoryRedis redis;
  std::vector<Told> heard;
  for (const Arrival& arrival : arrivals(told, random)) {
    tell(redis, told[arrival.event], arrival.at);
    heard.push_back(told[arrival.event]);
    ++counts.events;
    if (random() % 12 != 0) continue;
    if (Complaint complaint =
            looks_right(redis, heard, arrival.at, random, counts)) {
      return complaint;
    }
  }
  return looks_right(redis, heard, told.back().at + 46 * kDay, random, counts);
}

// The shortest year that fails, told.
[[noreturn]] void fail_shrunk(std::uint64_t seed, int steps) {
  for (int fewer = 1; fewer <= steps; ++fewer) {
    Counts ignored;
    Complaint complaint = shop_holds(seed, fewer, ignored);
    if (!complaint) continue;
    for (const Told& one : make_shop(seed, fewer)) {
      std::fprintf(stderr, "  day %s %s %s\n", days(one.at).c_str(),
                   one.event.c_str(), one.body.c_str());
    }
    std::fprintf(stderr, "%s\n", complaint->c_str());
    fail_msg("seed %llu, %d steps", static_cast<unsigned long long>(seed),
             fewer);
  }
  fail_msg("seed %llu fails only at %d steps",
           static_cast<unsigned long long>(seed), steps);
  std::abort();
}

void whoever_paid_is_in_and_nobody_else(void**) {
  constexpr int kSteps = 60;
  std::uint64_t first = number_of("ENTITLE_SEED", 1);
  std::uint64_t shops = number_of("ENTITLE_SHOPS", 20);
  Counts counts;
  for (std::uint64_t seed = first; seed < first + shops; ++seed) {
    Complaint complaint = shop_holds(seed, kSteps, counts);
    if (!complaint) continue;
    std::fprintf(stderr, "seed %llu: %s\nlooking for less\n",
                 static_cast<unsigned long long>(seed), complaint->c_str());
    fail_shrunk(seed, kSteps);
  }
  const Variety& some = counts.variety;
  std::printf(
      "%zu shops, %zu deliveries, %zu looks at %zu rights, %.1f%% undecided\n"
      "events with more items %d, more lines %d, mixed intervals %d, arrears "
      "%d, add-ons by invoice alone %d of %d; shared customers %d\n",
      counts.shops, counts.events, counts.looks, counts.rights,
      100.0 * static_cast<double>(counts.undecided) /
          static_cast<double>(counts.rights),
      some.more_items, some.more_lines, some.mixed_intervals, some.arrears,
      some.add_ons_by_invoice, some.by_invoice_only, some.shared_customers);
  assert_true(shops < 20 ||
              (some.more_items > 0 && some.more_lines > 0 &&
               some.mixed_intervals > 0 && some.arrears > 0 &&
               some.add_ons_by_invoice > 0 && some.shared_customers > 0));
}

// --- a user who bought 5,000 things ------------------------------------------

constexpr Time kFirst = 1'767'225'600;

Told told_of(Session session, Time at, const std::string& event_id) {
  std::string body = session_event({event_id, at}, "completed", session);
  return {at, event_id, Shape::basil, std::move(session), std::move(body)};
}

Told named(Time at, const std::string& event_id, const std::string& name) {
  return {at, event_id, Shape::basil, CustomerTold{"cus_1", name},
          customer_event({event_id, at}, "updated", "cus_1", name)};
}

Told refunded(Time at, const std::string& event_id, const std::string& number) {
  return {at, event_id, Shape::basil, RefundTold{"pi_" + number, true},
          charge_refunded_event(
              {event_id, at}, {"pi_" + number, "ch_" + number, "cus_1"}, true)};
}

std::vector<Told> purchases(int number) {
  std::vector<Told> all;
  for (int n = 0; n < number; ++n) {
    std::string text = std::to_string(n);
    all.push_back(told_of({.id = "cs_" + text,
                           .payment_status = n % 11 == 3 ? "unpaid" : "paid",
                           .payment_intent = "pi_" + text,
                           .payment_link = "plink_" + text},
                          kFirst + 600 * n, "evt_" + text));
  }
  return all;
}

// As if all had been delivered: the user's record is given what they say.
void put(MemoryRedis& redis, const std::vector<Told>& told, const char* name) {
  Command command = {"HSET", options().keys.record(user(name))};
  for (const Told& one : told) {
    for (const auto& [id, source] : sources(facts(one.body))) {
      command.push_back("source:" + id);
      command.push_back(source.encode());
    }
  }
  redis.run(command);
}

// What of it is open now, by an effective identifier each.
std::set<std::string> open_to(MemoryRedis& redis, const char* name, Time now) {
  std::set<std::string> all;
  for (const auto& [source, identifiers] :
       given(project(sources_of_user(redis, name)), now)) {
    all.insert(source);
  }
  return all;
}

std::set<std::string> due_to(const std::vector<Told>& heard, const char* name) {
  std::set<std::string> all;
  for (const auto& [source, right] : rights(heard)) {
    if (right.owner != name) continue;
    for (const auto& [identifier, span] : right.identifiers) {
      if (span.sure == kNever) all.insert(source);
    }
  }
  return all;
}

void five_thousand_purchases_stay_with_whose_they_are(void**) {
  const std::vector<Told> bought = purchases(5000);
  MemoryRedis redis;
  std::vector<Told> heard = {named(kFirst, "evt_c0", "u0"), bought[0]};
  for (const Told& one : heard) tell(redis, one, kFirst);
  put(redis, bought, "u0");
  heard.insert(heard.end(), bought.begin() + 1, bought.end());
  Time now = bought.back().at;
  std::vector<Told> more = {refunded(now, "evt_r7", "7"),
                            bought[1],
                            refunded(now, "evt_r8", "8"),
                            told_of({.id = "cs_gift",
                                     .payment_intent = "pi_gift",
                                     .payment_link = "plink_gift",
                                     .client_reference_id = "u2"},
                                    now, "evt_gift"),
                            named(now + 60, "evt_c1", "u1"),
                            bought[7],
                            bought[4999]};
  for (const Told& one : more) {
    now += 60;
    tell(redis, one, now);
    heard.push_back(one);
    if (one.event != "evt_r7" && one.event != "evt_4999") continue;
    for (const char* name : kUsers) {
      std::set<std::string> found = open_to(redis, name, now);
      std::set<std::string> expected = due_to(heard, name);
      if (found == expected) continue;
      fail_msg("after %s %zu are open to %s, not %zu", one.event.c_str(),
               found.size(), name, expected.size());
    }
  }
  assert_true(due_to(heard, "u1").size() > 4500);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(whoever_paid_is_in_and_nobody_else),
      cmocka_unit_test(five_thousand_purchases_stay_with_whose_they_are),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
