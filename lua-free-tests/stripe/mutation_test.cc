// Every composed event with any one member removed, nulled or of another type,
// and events of absurd size: a defined outcome, and never more access than the
// whole event gave.
//
// ENTITLE_MUTATIONS=all tries every replacement for every member; by default
// each member is removed, nulled and given one of the others in turn.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/access/access.h"

extern "C" {
#include <cmocka.h>
}

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "core/base/types.h"
#include "core/json/document.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Subscription;

namespace {

constexpr const char* kReplacements[] = {"null",
                                         "true",
                                         "false",
                                         "-1",
                                         "1.5",
                                         "9007199254740993",
                                         "\"\"",
                                         "[]",
                                         "{}",
                                         "[[]]",
                                         "{\"id\":7,\"data\":7}",
                                         "{\"data\":[null,7,\"x\",[],{}]}"};

using Mutant =
    std::function<void(const std::string& body, const std::string& path)>;

bool all_replacements() {
  const char* wish = std::getenv("ENTITLE_MUTATIONS");
  return wish != nullptr && std::string(wish) == "all";
}

class Mutator {
 public:
  Mutator(json_t* root, Mutant use) : root_(root), use_(std::move(use)) {}
  void run() { walk(root_, ""); }

 private:
  void walk(json_t* value, const std::string& path) {
    if (json_is_object(value)) {
      std::vector<std::string> keys;
      const char* key;
      json_t* member;
      json_object_foreach(value, key, member) keys.emplace_back(key);
      for (const std::string& each : keys) {
        mutate(value, each, path + "/" + each);
        walk(json_object_get(value, each.c_str()), path + "/" + each);
      }
    } else if (json_is_array(value)) {
      for (std::size_t i = 0; i < json_array_size(value); ++i) {
        walk(json_array_get(value, i), path + "/" + std::to_string(i));
      }
    }
  }
  void mutate(json_t* object, const std::string& key, const std::string& path) {
    json_t* original = json_incref(json_object_get(object, key.c_str()));
    json_object_del(object, key.c_str());
    use_(test::dump(root_), path + " removed");
    std::size_t n = 0;
    for (const char* replacement : kReplacements) {
      bool wanted = n == 0 || all_replacements() ||
                    n == 1 + turn_ % (std::size(kReplacements) - 1);
      if (wanted) {
        json_object_set_new(object, key.c_str(),
                            json_loads(replacement, JSON_DECODE_ANY, nullptr));
        use_(test::dump(root_), path + " = " + replacement);
      }
      ++n;
    }
    ++turn_;
    json_object_set_new(object, key.c_str(), original);
  }

  json_t* root_;
  Mutant use_;
  std::size_t turn_ = 0;
};

std::set<std::string> effective(const Facts& facts, UnixTime at) {
  std::vector<std::string> all =
      test::texts(effective_identifiers(test::sources(facts), {}, at));
  return {all.begin(), all.end()};
}

bool includes(const std::set<std::string>& all,
              const std::set<std::string>& some) {
  for (const std::string& one : some) {
    if (!all.count(one)) return false;
  }
  return true;
}

// Whether the member only ever takes away: without it, more is said.
bool restricts(const std::string& path) {
  return path.find("/proration") != std::string::npos ||
         path.find("/account") != std::string::npos ||
         path.find("/amount") != std::string::npos;
}

void assert_sane(const Facts& facts) {
  assert_true(!facts.places.empty() || !facts.note.empty());
  for (const PlaceFacts& place : facts.places) {
    assert_false(place.place.empty());
    for (const Claim& claim : place.claims) {
      assert_true(claim.target.str().starts_with("u:") ||
                  claim.target.str().starts_with("p:"));
      assert_true(claim.target.str().size() > 2);
    }
  }
  Sources sources = test::sources(facts);
  assert_true(test::stored(sources) == sources);
}

void any_one_member_may_be_wrong(void**) {
  std::size_t mutants = 0, events = 0, refused = 0;
  for (const std::string& name : test::fixture_names()) {
    JsonDocument root{json_loads(test::fixture(name).c_str(), 0, nullptr)};
    assert_non_null(root.get());
    Event whole = test::event(test::dump(root.get()));
    std::set<std::string> most =
        effective(facts_of(whole, test::default_options()), whole.head.created);
    Mutator(root.get(), [&](const std::string& body, const std::string& path) {
      ++mutants;
      ParsedEvent parsed = test::parse(body);
      if (!parsed.event) {
        ++refused;
        assert_false(parsed.detail.empty());
        return;
      }
      ++events;
      Facts facts = facts_of(*parsed.event, test::default_options());
      assert_sane(facts);
      if (!restricts(path) &&
          !includes(most, effective(facts, whole.head.created))) {
        fail_msg("%s: %s: gives more", name.c_str(), path.c_str());
      }
    }).run();
  }
  std::printf("%zu mutants, %zu events, %zu refused\n", mutants, events,
              refused);
  assert_true(events > 10'000);
  assert_true(refused > 1'000);
}

// --- size
// ------------------------------------------------------------------------

std::string replaced(std::string text, const std::string& from,
                     const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

void strings_of_a_mebibyte_are_no_ids_and_no_users(void**) {
  const std::string huge(900'000, 'x');
  Subscription sub{.items = {item("pro", 5000)}, .user = "42"};
  std::string body = test::subscription_event({"evt_1", 10}, "updated", sub);
  for (const char* value : {"sub_1", "cus_1", "price_pro", "prod_pro",
                            "pro_key", "active", "42", "evt_1"}) {
    ParsedEvent parsed =
        test::parse(replaced(body, value, std::string(value) + huge));
    if (!parsed.event) continue;  // the event's own id
    Facts facts = facts_of(*parsed.event, test::default_options());
    assert_true(test::describe(facts).size() < 2000);
    assert_sane(facts);
  }
  assert_false(
      test::parse(replaced(body, "42", huge + huge)).event.has_value());
}

void names_of_a_mebibyte_are_bounded(void**) {
  std::string names;
  while (names.size() < 900'000) names += std::to_string(names.size()) + ' ';
  Subscription sub{.items = {item("pro", 5000)}, .names = names};
  Facts facts =
      test::facts(test::subscription_event({"evt_1", 10}, "updated", sub));
  assert_true(facts.identifiers.size() <= 128);
  assert_true(
      facts.places.back().sources.at("sub_1").snapshots[0].state.more_items);
  assert_sane(facts);
}

void ten_thousand_items_are_bounded(void**) {
  Subscription sub;
  test::Invoice invoice;
  std::vector<std::string> features;
  for (int n = 0; n < 10'000; ++n) {
    test::Item one{"price_" + std::to_string(n), "prod_1", "", 5000 + n};
    sub.items.push_back(one);
    invoice.items.push_back(one);
    features.push_back("f" + std::to_string(n));
  }
  constexpr std::size_t kNoLimit = std::size_t{1} << 24;
  for (const std::string& body :
       {test::subscription_event({"evt_1", 10}, "updated", sub, &sub),
        test::invoice_event({"evt_1", 10}, "paid", invoice),
        test::summary_event({"evt_1", 10}, "cus_1", features, false,
                            &features)}) {
    assert_false(test::parse(body).event.has_value() &&
                 body.size() > kMaxEventBytes);
    ParsedEvent parsed = test::parse(body, kNoLimit);
    Facts facts = facts_of(*parsed.event, test::default_options());
    assert_true(facts.places.size() <= 2);  // an invoice, and whose
    assert_true(facts.identifiers.size() <= 128);
    assert_true(test::describe(facts).size() < 20'000);
    assert_sane(facts);
  }
  // The period is still that of all items, and absence proves nothing.
  Facts facts = facts_of(
      *test::parse(test::subscription_event({"evt_1", 10}, "updated", sub),
                   kNoLimit)
           .event,
      test::default_options());
  const SubscriptionState& state =
      facts.places.back().sources.at("sub_1").snapshots[0].state;
  assert_int_equal(to_unix(*state.period_end), 5000 + 9999);
  assert_true(state.more_items);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(any_one_member_may_be_wrong),
      cmocka_unit_test(strings_of_a_mebibyte_are_no_ids_and_no_users),
      cmocka_unit_test(names_of_a_mebibyte_are_bounded),
      cmocka_unit_test(ten_thousand_items_are_bounded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
