// Any order, duplication and loss-then-resend of the same events ends in the
// same sources, the same owners and the same access at every instant, and that
// is the truth wherever payloads tell it.
//
// ENTITLE_SEED=n begins there, ENTITLE_PROPERTY_SECONDS=n goes on for longer.
#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

// After the standard headers: it defines fail().
extern "C" {
#include <cmocka.h>
}

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/source/claim.h"
#include "core/source/forget.h"
#include "core/source/resolve.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/lifecycle.h"
#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;
using test::Lifecycle;
using test::SourceTruth;
using test::Time;

namespace {

constexpr int kSteps = 60, kOrders = 6;

struct Counts {
  std::size_t lives = 0, events = 0, orders = 0, subscriptions = 0,
              features = 0, ambiguous = 0, identifiers = 0, undetermined = 0,
              paused = 0;
};

// One event as the record and the places would take it.
struct Delivered {
  Sources sources;
  std::vector<std::pair<std::string, Claim>> claims;  // by place
};

struct End {
  Sources sources;
  std::map<std::string, std::string> owners;
  bool operator==(const End&) const = default;
};

std::vector<Delivered> deliveries(const Lifecycle& life) {
  std::vector<Delivered> all;
  for (const test::Said& said : life.said) {
    Facts facts = test::facts(said.body);
    Delivered one{test::sources(facts), {}};
    for (const PlaceFacts& place : facts.places) {
      for (const Claim& claim : place.claims) {
        one.claims.emplace_back(place.place, claim);
      }
    }
    all.push_back(std::move(one));
  }
  return all;
}

End end_of(const std::vector<Delivered>& all,
           const std::vector<std::size_t>& order) {
  End end;
  std::map<std::string, Place> places;
  std::size_t n = 0;
  for (std::size_t which : order) {
    merge(end.sources, all[which].sources);
    for (const auto& [place, claim] : all[which].claims) {
      places[place].add(claim);
    }
    // Now and then a node restarts, and the record is read again.
    if (++n % 16 == 0) end.sources = test::stored(end.sources);
  }
  for (const auto& [id, place] : places) {
    Owners owners = place.owners();
    end.owners[id] = owners.rest.value_or(Target()).str();
    for (const auto& [source, claims] : place.naming) {
      end.owners[id + " " + source] =
          owners.of(source).value_or(Target()).str();
    }
  }
  return end;
}

// Everything at least once, some of it twice, in any order.
std::vector<std::size_t> any_order(std::size_t n, std::mt19937_64& random) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < n; ++i) {
    order.push_back(i);
    if (random() % 4 == 0) order.push_back(i);
  }
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

std::string describe(const Sources& sources) {
  std::string text;
  for (const auto& [id, source] : sources) {
    text += "  " + id + " " + source.encode() + "\n";
  }
  return text;
}

// --- what must hold; the text says what does not
// ------------------------------

using Complaint = std::optional<std::string>;

Complaint any_order_ends_alike(const std::vector<Delivered>& all,
                               std::uint64_t seed, Counts& counts) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> order(all.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  End expected = end_of(all, order);
  for (int n = 0; n < kOrders; ++n) {
    order = any_order(all.size(), random);
    if (n == 0) std::sort(order.rbegin(), order.rend());
    ++counts.orders;
    End end = end_of(all, order);
    if (end == expected) continue;
    return "another order ends in\n" + describe(end.sources) + "not in\n" +
           describe(expected.sources);
  }
  return std::nullopt;
}

int privilege(const std::string& status) {
  if (status == "active" || status == "trialing") return 3;
  return status == "past_due" ? 2 : 0;
}

// Null where the end of this source is the truth or cannot be known.
Complaint source_is_true(const std::string& id, const SourceTruth& truth,
                         const Sources& sources, Counts& counts,
                         bool& comparable) {
  comparable = true;
  for (const auto& [identifier, span] : truth.identifiers) {
    ++counts.identifiers;
    if (span.sure != span.maybe) ++counts.undetermined;
  }
  auto at = sources.find(id);
  if (at == sources.end()) return id + " is missing";
  if (auto resolved = resolve(at->second)) {
    ++counts.subscriptions;
    if (!resolved->ambiguous) return std::nullopt;
    comparable = false;
    ++counts.ambiguous;
    if (privilege(resolved->state.status) > privilege(truth.status)) {
      return id + " is ambiguous and " + resolved->state.status +
             ", more than " + truth.status;
    }
  } else if (auto features = resolve_features(at->second)) {
    ++counts.features;
    if (!features->ambiguous) return std::nullopt;
    comparable = false;
    ++counts.ambiguous;
  }
  return std::nullopt;
}

std::set<std::string> given(const std::vector<Projection>& projections,
                            const std::string& source, Time now,
                            const Policy& policy = {}) {
  std::set<std::string> all;
  for (const Projection& one : projections) {
    if (one.source != source || !judge(one, policy, unix_time(now)).effective) {
      continue;
    }
    for (std::string& text : test::texts(one.identifiers)) {
      all.insert(std::move(text));
    }
  }
  return all;
}

bool gives_the_truth(const std::set<std::string>& found,
                     const SourceTruth& truth, Time now) {
  for (const auto& [identifier, span] : truth.identifiers) {
    if (now < span.sure && !found.contains(identifier)) return false;
  }
  return std::all_of(
      found.begin(), found.end(), [&](const std::string& identifier) {
        auto span = truth.identifiers.find(identifier);
        return span != truth.identifiers.end() && now < span->second.maybe;
      });
}

// entitle_pause_collection revoke: nothing while it is paused, else the same.
bool pauses_revoke(const std::vector<Projection>& projections,
                   const std::string& id, const SourceTruth& truth, Time now) {
  Policy revoke;
  revoke.pause_revokes = true;
  std::set<std::string> found = given(projections, id, now, revoke);
  return now < truth.paused ? found.empty()
                            : gives_the_truth(found, truth, now);
}

Complaint end_is_true(const Lifecycle& life, const End& end, Counts& counts) {
  for (const auto& [place, owner] : life.owners) {
    auto at = end.owners.find(place);
    std::string found = at == end.owners.end() ? "" : at->second;
    if (found != owner) return place + " is " + found + "'s, not " + owner;
  }
  const std::vector<Projection> projections = project(end.sources);
  for (const auto& [id, truth] : life.sources) {
    bool comparable = false;
    if (Complaint complaint =
            source_is_true(id, truth, end.sources, counts, comparable)) {
      return complaint;
    }
    if (!comparable) continue;
    for (Time now : life.instants) {
      std::set<std::string> found = given(projections, id, now);
      if (now < truth.paused) ++counts.paused;
      if (!pauses_revoke(projections, id, truth, now)) {
        return id + " at " + std::to_string(now) + " is paused until " +
               std::to_string(truth.paused) + ", not as in\n" +
               end.sources.at(id).encode();
      }
      if (gives_the_truth(found, truth, now)) continue;
      std::string text = id + " at " + std::to_string(now) + " gives";
      for (const std::string& one : found) text += ' ' + one;
      text += ", not";
      for (const auto& [one, span] : truth.identifiers) {
        text += ' ' + one + " until " + std::to_string(span.sure) + '/' +
                std::to_string(span.maybe);
      }
      return text + "\n" + id + ' ' + end.sources.at(id).encode();
    }
  }
  return std::nullopt;
}

Complaint holds(std::uint64_t seed, int steps, Counts& counts) {
  Lifecycle life = test::make_lifecycle(seed, steps);
  std::vector<Delivered> all = deliveries(life);
  ++counts.lives;
  counts.events += all.size();
  if (Complaint complaint = any_order_ends_alike(all, seed, counts)) {
    return complaint;
  }
  std::vector<std::size_t> order(all.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  return end_is_true(life, end_of(all, order), counts);
}

// The shortest life that fails, told.
[[noreturn]] void fail_shrunk(std::uint64_t seed, int steps) {
  for (int fewer = 1; fewer <= steps; ++fewer) {
    Counts ignored;
    Complaint complaint = holds(seed, fewer, ignored);
    if (!complaint) continue;
    std::fprintf(stderr, "seed %llu, %d steps:\n",
                 static_cast<unsigned long long>(seed), fewer);
    for (const test::Said& said : test::make_lifecycle(seed, fewer).said) {
      std::fprintf(stderr, "  %lld %s %s\n", static_cast<long long>(said.at),
                   said.id.c_str(), said.what.c_str());
    }
    fail_msg("%s", complaint->c_str());
  }
  fail_msg("seed %llu fails only at %d steps",
           static_cast<unsigned long long>(seed), steps);
  std::abort();
}

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void every_order_of_a_life_ends_in_its_truth(void**) {
  using Clock = std::chrono::steady_clock;
  std::uint64_t first = number_of(
      "ENTITLE_SEED",
      static_cast<std::uint64_t>(
          std::chrono::system_clock::now().time_since_epoch().count()));
  auto budget = std::chrono::seconds(number_of("ENTITLE_PROPERTY_SECONDS", 6));
  std::printf("ENTITLE_SEED=%llu\n", static_cast<unsigned long long>(first));
  Counts counts;
  Clock::time_point end = Clock::now() + budget;
  std::uint64_t seed = first;
  do {
    if (holds(seed, kSteps, counts)) fail_shrunk(seed, kSteps);
    ++seed;
  } while (Clock::now() < end);
  std::printf(
      "%zu lives, %zu events, %zu orders; of %zu subscriptions and %zu feature "
      "sets %.2f%% ambiguous, of %zu identifiers %.2f%% undetermined\n",
      counts.lives, counts.events, counts.orders, counts.subscriptions,
      counts.features,
      100.0 * static_cast<double>(counts.ambiguous) /
          static_cast<double>(counts.subscriptions + counts.features),
      counts.identifiers,
      100.0 * static_cast<double>(counts.undetermined) /
          static_cast<double>(counts.identifiers));
  assert_true(counts.lives > 3);
  assert_true(counts.paused > 0);
  assert_true(counts.ambiguous * 4 < counts.subscriptions);
}

// merge() itself: commutative, associative, idempotent.
void merging_is_a_join(void**) {
  std::mt19937_64 random(number_of("ENTITLE_SEED", 7));
  for (int n = 0; n < 40; ++n) {
    std::vector<Delivered> all =
        deliveries(test::make_lifecycle(random(), kSteps));
    Sources parts[3];
    for (const Delivered& one : all) {
      merge(parts[random() % 3], one.sources);
      merge(parts[random() % 3], one.sources);
    }
    auto joined = [](Sources a, const Sources& b) {
      merge(a, b);
      return a;
    };
    const auto& [a, b, c] = parts;
    assert_true(joined(a, b) == joined(b, a));
    assert_true(joined(joined(a, b), c) == joined(a, joined(b, c)));
    Sources again = a;
    assert_false(merge(again, a));
    again = joined(a, b);
    assert_false(merge(again, b));
  }
}

// --- forgetting --------------------------------------------------------------

constexpr Time kDay = 24 * 3600;
constexpr Time kLate = 45 * kDay;  // docs/redis.md: as late as an event may be
constexpr int kPace = 12;

struct Arrival {
  Time at;
  std::size_t event;
};

// Each event within 45 days of its time, most of them at once, some again and
// again.
std::vector<Arrival> arrivals(const Lifecycle& life, std::mt19937_64& random) {
  std::vector<Arrival> all;
  for (std::size_t n = 0; n < life.said.size(); ++n) {
    std::size_t times = 1 + (random() % 4 == 0 ? 1 + random() % 2 : 0);
    for (std::size_t k = 0; k < times; ++k) {
      Time late = random() % 3 == 0 ? static_cast<Time>(random() % kLate) : 1;
      all.push_back({life.said[n].at + late, n});
    }
  }
  std::stable_sort(
      all.begin(), all.end(),
      [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return all;
}

// A payment is where its purchase is; anything else may be spread.
std::size_t record_of(const Delivered& event, std::mt19937_64& random) {
  const std::string& id = event.sources.begin()->first;
  bool may_be_spread = id.starts_with("sub_") || id.starts_with("cus_");
  return may_be_spread ? random() % 2 : 0;
}

// What two records that hear of it, and become one every month, come to.
// Whoever writes may forget; some clocks are years ahead, some behind.
Sources remembered(const std::vector<Delivered>& all,
                   const std::vector<Arrival>& order, bool forgets,
                   std::mt19937_64& random) {
  Sources records[2];
  Time apart_since = 0;
  for (const Arrival& arrival : order) {
    if (arrival.at - apart_since > 30 * kDay) {
      merge(records[0], records[1]);
      records[1].clear();
      apart_since = arrival.at;
    }
    if (all[arrival.event].sources.empty()) continue;
    Sources& record = records[record_of(all[arrival.event], random)];
    merge(record, all[arrival.event].sources);
    if (!forgets || random() % 2 == 0) continue;
    Time clock = arrival.at;
    if (random() % 8 == 0) clock += 3000 * kDay;
    if (random() % 8 == 0) clock -= 3000 * kDay;
    forget(record, unix_time(clock));
    if (random() % 8 == 0) record = test::stored(record);
  }
  merge(records[0], records[1]);
  return records[0];
}

// What one has that the other has not.
std::string difference(Sources one, const Sources& other) {
  std::erase_if(one, [&](const auto& source) {
    auto same = other.find(source.first);
    return same != other.end() && same->second == source.second;
  });
  return describe(one);
}

// The contract: what is true in the end is true with what was forgotten, and
// the same is remembered however it came.
Complaint forgetting_holds(std::uint64_t seed, int steps, Counts& counts,
                           std::size_t& forgotten) {
  std::mt19937_64 random(seed);
  Lifecycle life = test::make_lifecycle(seed, steps, kPace);
  if (life.said.empty()) return std::nullopt;
  std::vector<Delivered> all = deliveries(life);
  Time last = life.said.back().at;
  // Whatever was late has come by then, and an event says that it is then.
  Time end = last + kLate + kDay;
  Sources clock = test::sources_of(
      {test::summary_event({"evt_clock", end}, "cus_clock", {"clock"}, false)});
  auto in_the_end = [&](Sources sources) {
    merge(sources, clock);
    forget(sources, unix_time(end));
    sources.erase("cus_clock");
    return sources;
  };
  Sources whole = remembered(all, arrivals(life, random), false, random);
  Sources expected = in_the_end(whole);
  forgotten += whole.size() - expected.size();
  for (int n = 0; n < kOrders; ++n) {
    Sources found =
        in_the_end(remembered(all, arrivals(life, random), true, random));
    if (found == expected) continue;
    return "another order remembers\n" + difference(found, expected) + "not\n" +
           difference(expected, found);
  }
  // From then on.
  std::erase_if(life.instants, [&](Time now) { return now < end; });
  life.owners.clear();
  for (auto one = life.sources.begin(); one != life.sources.end();) {
    bool gone = !expected.contains(one->first);
    if (gone && one->second.last() > end) return one->first + " was forgotten";
    one = gone ? life.sources.erase(one) : std::next(one);
  }
  return end_is_true(life, {expected, {}}, counts);
}

void forgetting_commutes_with_everything(void**) {
  std::uint64_t first = number_of(
      "ENTITLE_SEED",
      static_cast<std::uint64_t>(
          std::chrono::system_clock::now().time_since_epoch().count()));
  auto budget = std::chrono::seconds(number_of("ENTITLE_PROPERTY_SECONDS", 6));
  std::printf("ENTITLE_SEED=%llu\n", static_cast<unsigned long long>(first));
  auto end = std::chrono::steady_clock::now() + budget;
  std::size_t lives = 0, forgotten = 0;
  Counts counts;
  for (std::uint64_t seed = first;
       lives < 3 || std::chrono::steady_clock::now() < end; ++seed, ++lives) {
    if (!forgetting_holds(seed, kSteps, counts, forgotten)) continue;
    for (int steps = 1;; ++steps) {
      Complaint complaint = forgetting_holds(seed, steps, counts, forgotten);
      if (!complaint) continue;
      for (const test::Said& said :
           test::make_lifecycle(seed, steps, kPace).said) {
        std::fprintf(stderr, "  %lld %s %s\n", static_cast<long long>(said.at),
                     said.id.c_str(), said.what.c_str());
      }
      fail_msg("seed %llu, %d steps: %s", static_cast<unsigned long long>(seed),
               steps, complaint->c_str());
    }
  }
  std::printf("%zu lives, %zu sources forgotten\n", lives, forgotten);
  assert_true(forgotten > 0);
}

// A user who bought 5,000 things: none of what is paid is forgotten, and it is
// told from what is refunded.
void thousands_of_purchases_are_remembered(void**) {
  constexpr int kPurchases = 5000;
  std::mt19937_64 random(5);
  std::vector<std::string> bodies;
  std::set<std::string> paid;
  Time now = 1'767'225'600;
  for (int n = 0; n < kPurchases; ++n) {
    now += 600;  // 35 days in all: any order is possible
    std::string number = std::to_string(n);
    bool refunded = n % 7 == 0, unpaid = n % 11 == 0;
    bodies.push_back(
        test::session_event({"evt_s" + number, now}, "completed",
                            {.id = "cs_" + number,
                             .payment_status = unpaid ? "unpaid" : "paid",
                             .payment_intent = "pi_" + number,
                             .payment_link = "plink_" + number}));
    if (refunded) {
      bodies.push_back(test::charge_refunded_event(
          {"evt_r" + number, now}, {"pi_" + number, "ch_" + number, "cus_1"},
          true));
    }
    if (!refunded && !unpaid) paid.insert("cs_" + number);
  }
  std::shuffle(bodies.begin(), bodies.end(), random);
  Sources sources;
  std::size_t told = 0;
  for (const std::string& body : bodies) {
    merge(sources, test::sources(test::facts(body)));
    // All of them came within 45 days of the last.
    if (++told % 500 == 0) {
      forget(sources, unix_time(now));
      sources = test::stored(sources);
    }
  }
  merge(sources, test::sources_of({test::summary_event(
                     {"evt_z", now + 900 * kDay}, "cus_1", {"x"}, false)}));
  forget(sources, unix_time(now + 900 * kDay));
  std::set<std::string> effective;
  for (const Projection& one : project(sources)) {
    bool gives = judge(one, {}, unix_time(now + 901 * kDay)).effective;
    if (gives && one.source != "cus_1") effective.insert(one.source);
  }
  for (const std::string& id : effective) {
    if (!paid.contains(id)) fail_msg("%s is open", id.c_str());
  }
  assert_int_equal(effective.size(), paid.size());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_order_of_a_life_ends_in_its_truth),
      cmocka_unit_test(merging_is_a_join),
      cmocka_unit_test(forgetting_commutes_with_everything),
      cmocka_unit_test(thousands_of_purchases_are_remembered),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
