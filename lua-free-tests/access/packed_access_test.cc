#include "core/access/packed_access.h"

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
      cmocka_unit_test(a_damaged_record_gives_nothing),
      cmocka_unit_test(bytes_that_are_no_identifier_give_nothing),
      cmocka_unit_test(strangers_cannot_grow_the_index_for_ever),
      cmocka_unit_test(a_full_index_still_answers_right),
      cmocka_unit_test(no_lines_ask_for_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
