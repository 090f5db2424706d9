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
#include "core/record/place.h"
#include "core/source/claim.h"
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
              features = 0, ambiguous = 0, undetermined = 0;
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
    end.owners[id] = place.owner().value_or("");
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
  comparable = truth.determined;
  if (!truth.determined) ++counts.undetermined;
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

Complaint end_is_true(const Lifecycle& life, const End& end, Counts& counts) {
  for (const auto& [place, owner] : life.owners) {
    auto at = end.owners.find(place);
    std::string found = at == end.owners.end() ? "" : at->second;
    if (found != owner) return place + " is " + found + "'s, not " + owner;
  }
  std::map<std::string, Projection> projections;
  for (Projection& one : project(end.sources)) {
    std::string id = one.source;
    projections[id] = std::move(one);
  }
  for (const auto& [id, truth] : life.sources) {
    bool comparable = false;
    if (Complaint complaint =
            source_is_true(id, truth, end.sources, counts, comparable)) {
      return complaint;
    }
    if (!comparable) continue;
    for (Time now : life.instants) {
      std::vector<std::string> found, expected;
      auto at = projections.find(id);
      if (at != projections.end() &&
          judge(at->second, {}, unix_time(now)).effective) {
        found = test::texts(at->second.identifiers);
      }
      if (now < truth.until) expected = truth.identifiers;
      if (found == expected) continue;
      std::string text = id + " at " + std::to_string(now) + " gives";
      for (const std::string& one : found) text += ' ' + one;
      text += ", not";
      for (const std::string& one : expected) text += ' ' + one;
      return text + "\n" + describe(end.sources);
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
      "sets %.2f%% ambiguous, %.2f%% undetermined\n",
      counts.lives, counts.events, counts.orders, counts.subscriptions,
      counts.features,
      100.0 * static_cast<double>(counts.ambiguous) /
          static_cast<double>(counts.subscriptions + counts.features),
      100.0 * static_cast<double>(counts.undetermined) /
          static_cast<double>(counts.subscriptions + counts.features));
  assert_true(counts.lives > 3);
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

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_order_of_a_life_ends_in_its_truth),
      cmocka_unit_test(merging_is_a_join),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
