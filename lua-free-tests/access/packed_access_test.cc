#include "core/access/packed_access.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>

extern "C" {
#include <cmocka.h>
}

#include "core/access/access.h"
#include "core/access/decision.h"
#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/access/standing.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/access/random_standing.h"

namespace {

using entitle::allowed_until;
using entitle::Alternatives;
using entitle::Entitlement;
using entitle::GrantMap;
using entitle::Identifier;
using entitle::kForever;
using entitle::pack;
using entitle::PackedAccess;
using entitle::Policy;
using entitle::Projection;
using entitle::Ruling;
using entitle::Seconds;
using entitle::Standing;
using entitle::to_unix;
using entitle::unix_time;
using entitle::UnixTime;

GrantMap random_grants(std::mt19937_64& random) {
  static const char* const kNames[] = {"pro", "team", "a", "b", "a,b"};
  GrantMap grants;
  for (std::size_t count = random() % 12; count > 0; --count) {
    grants.add(kNames[random() % 5], entitle::test::random_identifier(random));
  }
  return grants;
}

Policy random_policy(std::mt19937_64& random) {
  Policy policy;
  policy.grace = Seconds(random() % 500);
  policy.past_due_grace = Seconds(random() % 500);
  policy.provisional = Seconds(random() % 500);
  policy.refund_revokes = random() % 2 == 0;
  policy.dispute_revokes = random() % 2 == 0;
  policy.pause_revokes = random() % 2 == 0;
  return policy;
}

// Around every time and grace a standing can have.
UnixTime random_now(std::mt19937_64& random) {
  return entitle::test::random_time(random) + Seconds(random() % 700);
}

std::vector<Alternatives> random_lines(std::mt19937_64& random) {
  static const char* const kNames[] = {"pro", "team", "a", "b",
                                       "c",   "d",    "",  "a,b"};
  std::vector<Alternatives> lines(random() % 3);
  for (Alternatives& line : lines) {
    for (std::size_t count = random() % 3; count > 0; --count) {
      line.push_back(kNames[random() % 8]);
    }
  }
  return lines;
}

// The packed record answers as the unpacked rules do: the same names, the same
// ends, the same locations open.
void packed_answers_are_those_of_the_rules(void**) {
  std::mt19937_64 random(1);
  int allowed = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    GrantMap grants = random_grants(random);
    Policy policy = random_policy(random);
    PackedAccess access(grants, policy);
    for (int i = 0; i < 20; ++i) {
      Standing standing = entitle::test::random_standing(random);
      UnixTime now = random_now(random);
      std::string packed = pack(standing);

      std::vector<Entitlement> expected =
          entitlements(standing.projections, grants, policy, now);
      auto held = access.effective(packed, now);
      assert_true(held.has_value());
      assert_int_equal(held->size(), expected.size());
      for (std::size_t at = 0; at < expected.size(); ++at) {
        assert_true((*held)[at].name == expected[at].name);
        assert_true((*held)[at].until == expected[at].until);
      }

      std::vector<Alternatives> lines = random_lines(random);
      Ruling ruling = decide(standing, lines, grants, policy, now);
      std::optional<UnixTime> until = allowed_until(lines, *held);
      assert_true(until.has_value() ==
                  (ruling.decision == entitle::Decision::allow));
      if (until) assert_true(*until == ruling.until);
      (until ? allowed : refused)++;

      for (const Entitlement& one : expected) {
        assert_true(access.until(packed, one.name, now) == one.until);
      }
      assert_false(access.until(packed, "d?", now).has_value());
    }
  }
  assert_true(allowed > 1000 && refused > 1000);
}

bool pauses(const Standing& standing, const Policy& policy, UnixTime now) {
  return policy.pause_revokes &&
         std::any_of(standing.projections.begin(), standing.projections.end(),
                     [&](const Projection& p) { return now < p.paused_until; });
}

// What is held is remembered until then: not a second of it may be wrong.
void what_is_held_stays_the_same_until_it_is_said_to_change(void**) {
  std::mt19937_64 random(3);
  int stayed = 0, changed = 0, began = 0;
  for (int round = 0; round < 20000; ++round) {
    GrantMap grants = random_grants(random);
    Policy policy = random_policy(random);
    PackedAccess access(grants, policy);
    Standing standing = entitle::test::random_standing(random);
    UnixTime now = random_now(random);
    auto texts = [&](UnixTime at) {
      std::string text;
      for (const Entitlement& one :
           entitlements(standing.projections, grants, policy, at)) {
        text += one.name + ' ' + std::to_string(to_unix(one.until)) + '\n';
      }
      return text;
    };

    assert_true(access.effective(pack(standing), now).has_value());
    const UnixTime until = access.unchanged_until();
    assert_true(now < until);
    for (int i = 0; i < 20; i++) {
      const UnixTime at = now + Seconds(random() % 3000);
      if (at >= until) continue;
      assert_string_equal(texts(at).c_str(), texts(now).c_str());
      stayed++;
    }
    if (until == kForever) continue;
    assert_string_equal(texts(until - Seconds(1)).c_str(), texts(now).c_str());
    const bool differs = texts(until) != texts(now);
    if (pauses(standing, policy, now)) {
      began += differs;  // what resumes may give nothing new
    } else {
      assert_true(differs);
      changed++;
    }
  }
  assert_true(stayed > 1000 && changed > 500 && began > 100);
}

Standing holding(std::string_view identifier) {
  Standing standing;
  Projection projection;
  projection.state = Projection::State::paid;
  projection.identifiers.push_back(*Identifier::parse(identifier));
  standing.projections.push_back(projection);
  return standing;
}

void a_damaged_record_gives_nothing(void**) {
  GrantMap grants;
  Policy policy;
  PackedAccess access(grants, policy);
  std::string packed = pack(holding("feature=pro"));
  UnixTime now = unix_time(1);
  assert_true(access.until(packed, "pro", now) == kForever);
  packed.push_back('\0');
  assert_false(access.effective(packed, now).has_value());
  assert_false(access.until(packed, "pro", now).has_value());
  assert_false(access.effective("", now).has_value());
}

void bytes_that_are_no_identifier_give_nothing(void**) {
  GrantMap grants;
  Policy policy;
  PackedAccess access(grants, policy);
  std::string packed = pack(holding("feature=pro"));
  packed[packed.size() - 1] = '\n';
  auto held = access.effective(packed, unix_time(1));
  assert_true(held.has_value());
  assert_true(held->empty());
}

void strangers_cannot_grow_the_index_for_ever(void**) {
  GrantMap grants;
  entitle::GrantIndex index(grants);
  entitle::PackedIdentifier identifier;
  identifier.type = 4;  // feature=
  for (std::size_t i = 0; i < 3 * entitle::GrantIndex::kMaxIdentifiers; ++i) {
    std::string value = "f" + std::to_string(i);
    identifier.value = value;
    index.make_room();
    assert_int_equal(index.names_of(identifier).size(), 1);
    assert_true(index.size() <= entitle::GrantIndex::kMaxIdentifiers);
  }
}

void a_full_index_still_answers_right(void**) {
  GrantMap grants;
  grants.add("pro", *Identifier::parse("price_1"));
  Policy policy;
  PackedAccess access(grants, policy);
  UnixTime now = unix_time(1);
  std::string plan = pack(holding("price_1"));
  for (int i = 0; i < 10000; ++i) {
    std::string name = "f" + std::to_string(i);
    assert_true(access.until(pack(holding("feature=" + name)), name, now) ==
                kForever);
    assert_true(access.until(plan, "pro", now) == kForever);
  }
}

void no_lines_ask_for_nothing(void**) {
  assert_true(allowed_until({}, {}) == kForever);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(packed_answers_are_those_of_the_rules),
      cmocka_unit_test(what_is_held_stays_the_same_until_it_is_said_to_change),
      cmocka_unit_test(a_damaged_record_gives_nothing),
      cmocka_unit_test(bytes_that_are_no_identifier_give_nothing),
      cmocka_unit_test(strangers_cannot_grow_the_index_for_ever),
      cmocka_unit_test(a_full_index_still_answers_right),
      cmocka_unit_test(no_lines_ask_for_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
