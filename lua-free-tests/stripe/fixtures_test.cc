// Every scenario in every order, and every event in every API version.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/access/access.h"

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <map>
#include <string>

#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/json/document.h"
#include "core/record/place.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/resolve.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;

namespace {

struct Scenario {
  std::string name;
  JsonDocument root;
  const json_t* expect = nullptr;
  std::vector<std::string> bodies;  // as delivered
  std::vector<UnixTime> created;
};

Scenario scenario(const std::string& name) {
  Scenario result;
  result.name = name;
  std::string text = test::fixture(name);
  result.root.reset(json_loads(text.c_str(), 0, nullptr));
  assert_non_null(result.root.get());
  result.expect = json_object_get(result.root.get(), "expect");
  const json_t* delivery = json_object_get(result.root.get(), "delivery");
  for (std::size_t i = 0; i < json_array_size(delivery); ++i) {
    result.bodies.push_back(test::dump(json_array_get(delivery, i)));
    result.created.push_back(test::event(result.bodies.back()).head.created);
  }
  assert_true(result.bodies.size() > 1);
  return result;
}

bool grants(const Sources& sources, UnixTime at) {
  for (const Projection& one : project(sources)) {
    if (judge(one, {}, at).effective) return true;
  }
  return false;
}

const Source* subscription(const Sources& sources) {
  for (const auto& [id, source] : sources) {
    if (!source.snapshots.empty()) return &source;
  }
  return nullptr;
}

std::string user(const std::vector<std::string>& bodies) {
  Place customer;
  for (const std::string& body : bodies) {
    for (const PlaceFacts& place : test::facts(body).places) {
      if (!place.place.starts_with("cus_")) continue;
      for (const Claim& claim : place.claims) customer.add(claim);
    }
  }
  return customer.owner().value_or(Target()).str();
}

void assert_end(const Scenario& scenario, const Sources& sources) {
  const json_t* expect = scenario.expect;
  UnixTime last =
      *std::max_element(scenario.created.begin(), scenario.created.end());
  if (const json_t* status = json_object_get(expect, "status")) {
    ResolvedSubscription resolved = *resolve(*subscription(sources));
    assert_string_equal(resolved.state.status.c_str(),
                        json_string_value(status));
    bool ambiguous = json_is_true(json_object_get(expect, "ambiguous"));
    assert_int_equal(resolved.ambiguous, ambiguous);
    if (ambiguous) assert_true(resolved.state.cancel_at.has_value());
  }
  if (const json_t* granted = json_object_get(expect, "grants")) {
    assert_int_equal(grants(sources, last), json_is_true(granted));
  }
  if (const json_t* each = json_object_get(expect, "grants_after")) {
    const json_t* final = json_array_get(each, json_array_size(each) - 1);
    assert_int_equal(grants(sources, last), json_is_true(final));
  }
}

void every_scenario_ends_alike_in_every_order(void**) {
  std::size_t orders = 0;
  for (const std::string& name : test::scenario_names()) {
    Scenario one = scenario(name);
    Sources expected = test::sources_of(one.bodies);
    assert_end(one, expected);
    if (const json_t* whose = json_object_get(one.expect, "user")) {
      assert_string_equal(
          user(one.bodies).c_str(),
          ("u:" + std::string(json_string_value(whose))).c_str());
    }
    std::vector<std::string> bodies = one.bodies;
    std::sort(bodies.begin(), bodies.end());
    do {
      std::vector<std::string> twice = bodies;
      twice.insert(twice.end(), bodies.rbegin(), bodies.rend());
      if (test::sources_of(bodies) != expected ||
          test::stored(test::sources_of(twice)) != expected) {
        fail_msg("%s depends on the order", name.c_str());
      }
      ++orders;
    } while (std::next_permutation(bodies.begin(), bodies.end()));
  }
  assert_true(orders > 30);
}

void scenarios_grant_step_by_step(void**) {
  for (const std::string& name : test::scenario_names()) {
    Scenario one = scenario(name);
    const json_t* each = json_object_get(one.expect, "grants_after");
    Sources sources;
    for (std::size_t i = 0; i < json_array_size(each); ++i) {
      merge(sources, test::sources(test::facts(one.bodies[i])));
      if (grants(sources, one.created[i]) !=
          json_is_true(json_array_get(each, i))) {
        fail_msg("%s: after event %zu", name.c_str(), i);
      }
    }
  }
}

void a_duplicate_is_applied_once(void**) {
  Scenario one = scenario("scenarios/duplicate_same_id.json");
  Sources sources;
  int applied = 0;
  for (const std::string& body : one.bodies) {
    applied += merge(sources, test::sources(test::facts(body)));
  }
  assert_int_equal(applied,
                   json_integer_value(json_object_get(one.expect, "applied")));
}

// What an event means, without what differs between API versions by nature:
// its own id, and where places and lookup keys are known.
std::string meaning(const std::string& name) {
  Facts facts = test::facts_of_fixture(name);
  std::string text = facts.customer.empty() ? "no customer" : "customer";
  if (name.find("refund") != std::string::npos) text.clear();
  Sources sources = test::sources(facts);
  auto without_lookup_keys = [](std::vector<Identifier>& identifiers) {
    std::erase_if(identifiers, [](const Identifier& one) {
      return one.str().starts_with("lookup_key=");
    });
  };
  for (auto& [id, source] : sources) {
    // Nor do invoices say any longer what paid them.
    std::vector<SessionFact> sessions(source.sessions.begin(),
                                      source.sessions.end());
    for (SessionFact& fact : sessions) {
      if (!id.starts_with("in_") || !fact.paid) continue;
      fact.payment_intent.clear();
      fact.charge.clear();
      without_lookup_keys(fact.identifiers);
    }
    source.sessions = {};
    source.sessions.unite(std::move(sessions));
    if (!source.invoices.empty()) source.keys = {};
    std::vector<PaidInvoice> invoices(source.invoices.begin(),
                                      source.invoices.end());
    for (PaidInvoice& invoice : invoices) {
      without_lookup_keys(invoice.identifiers);
      for (ItemPeriod& item : invoice.items) {
        without_lookup_keys(item.identifiers);
      }
    }
    source.invoices = {};
    source.invoices.unite(std::move(invoices));
    std::vector<Snapshot> snapshots(source.snapshots.begin(),
                                    source.snapshots.end());
    for (Snapshot& snapshot : snapshots) snapshot.previous = {};
    source.snapshots = {};
    source.snapshots.unite(std::move(snapshots));
    if (name.find("refund") != std::string::npos) source.place.clear();
    text += '\n' + id + ' ' + source.encode();
  }
  std::string event = test::event(test::fixture(name)).head.id;
  for (std::size_t at; (at = text.find(event)) != std::string::npos;) {
    text.replace(at, event.size(), "EVENT");
  }
  return text;
}

void all_api_versions_say_the_same(void**) {
  std::map<std::string, std::vector<std::string>> versions;
  for (const std::string& name : test::fixture_names()) {
    std::size_t slash = name.find('/');
    if (name.substr(0, slash) != "edge") {
      versions[name.substr(slash)].push_back(name);
    }
  }
  std::size_t compared = 0;
  for (const auto& [type, names] : versions) {
    // Item period ends differ from the top-level one in this one on purpose.
    if (type.find("multi_item") != std::string::npos) continue;
    for (const std::string& name : names) {
      assert_string_equal(meaning(name).c_str(), meaning(names[0]).c_str());
      ++compared;
    }
  }
  assert_true(compared > 150);
}

void every_event_of_every_version_is_read(void**) {
  for (const std::string& name : test::fixture_names()) {
    Facts facts = test::facts_of_fixture(name);
    if (facts.places.empty()) {
      if (facts.note.empty()) fail_msg("%s: no word why", name.c_str());
      continue;
    }
    for (const PlaceFacts& place : facts.places) {
      for (const auto& [id, source] : place.sources) {
        assert_string_equal(source.place.c_str(), place.place.c_str());
        assert_true(source.has_event(test::event(test::fixture(name)).head.id));
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_scenario_ends_alike_in_every_order),
      cmocka_unit_test(scenarios_grant_step_by_step),
      cmocka_unit_test(a_duplicate_is_applied_once),
      cmocka_unit_test(all_api_versions_say_the_same),
      cmocka_unit_test(every_event_of_every_version_is_read),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
