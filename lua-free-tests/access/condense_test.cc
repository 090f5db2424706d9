#include "core/access/condense.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/access/access.h"
#include "core/access/decision.h"
#include "core/access/packed_record.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/access/random_standing.h"

// After the others: it defines fail().
extern "C" {
#include <cmocka.h>
}

using namespace entitle;

namespace {

// Lines for some of the identifiers that random_standing() makes.
GrantMap random_grants(std::mt19937_64& random) {
  static const char* const kNames[] = {"pro", "team", "a"};
  GrantMap grants;
  for (std::size_t count = random() % 6; count > 0; --count) {
    grants.add(kNames[random() % 3], test::random_identifier(random));
  }
  return grants;
}

Policy random_policy(std::mt19937_64& random) {
  Policy policy;
  policy.grace = Seconds(random() % 300);
  policy.past_due_grace = Seconds(random() % 500);
  policy.provisional = Seconds(random() % 500);
  policy.refund_revokes = random() % 2 == 0;
  policy.dispute_revokes = random() % 2 == 0;
  policy.pause_revokes = random() % 2 == 0;
  return policy;
}

std::vector<Alternatives> random_lines(std::mt19937_64& random) {
  static const char* const kNames[] = {"pro", "team", "a", "b"};
  std::vector<Alternatives> lines(1 + random() % 2);
  for (Alternatives& line : lines) {
    for (std::size_t count = 1 + random() % 2; count > 0; --count) {
      line.push_back(kNames[random() % 4]);
    }
  }
  return lines;
}

void what_is_condensed_decides_the_same(void**) {
  std::mt19937_64 random(3);
  int allowed = 0, refused = 0;
  std::set<Reason> reasons;
  for (int round = 0; round < 3000; ++round) {
    GrantMap grants = random_grants(random), others = random_grants(random);
    KnownIdentifiers known;
    known.add(grants);
    known.add(others);
    Standing standing = test::random_standing(random);
    for (std::size_t count = random() % 20; count > 0; --count) {
      standing.projections.push_back(test::random_projection(random));
    }
    const Standing less = condense(standing, known);
    assert_int_equal(less.version, standing.version);
    assert_true(less.not_before == standing.not_before);
    for (int i = 0; i < 10; ++i) {
      const GrantMap& asked = random() % 2 == 0 ? grants : others;
      Policy policy = random_policy(random);
      UnixTime now = test::random_time(random) + Seconds(random() % 700);
      std::vector<Entitlement> expected =
          entitlements(standing.projections, asked, policy, now);
      std::vector<Entitlement> found =
          entitlements(less.projections, asked, policy, now);
      assert_int_equal(found.size(), expected.size());
      for (std::size_t n = 0; n < found.size(); ++n) {
        assert_string_equal(found[n].name.c_str(), expected[n].name.c_str());
        assert_true(found[n].until == expected[n].until);
      }
      std::vector<Alternatives> lines = random_lines(random);
      Ruling whole = decide(standing, lines, asked, policy, now);
      Ruling ours = decide(less, lines, asked, policy, now);
      assert_int_equal(ours.decision, whole.decision);
      assert_true(ours.until == whole.until);
      assert_string_equal(std::string(name(ours.reason)).c_str(),
                          std::string(name(whole.reason)).c_str());
      assert_true(ours.missing == whole.missing);
      reasons.insert(whole.reason);
      (whole.decision == Decision::allow ? allowed : refused)++;
    }
  }
  assert_true(allowed > 1000 && refused > 1000);
  assert_int_equal(reasons.size(), 8);  // ok, and each that a source can give
}

Projection bought(int n, Projection::State state) {
  Projection projection;
  projection.source = "cs_" + std::to_string(n);
  projection.state = state;
  projection.since = unix_time(1'767'225'600 + n);
  for (const std::string& text :
       {std::string("price_pro"), "plink_" + std::to_string(n % 10),
        "metadata=order" + std::to_string(n % 3),
        "prod_order" + std::to_string(n)}) {
    projection.identifiers.push_back(*Identifier::parse(text));
  }
  return projection;
}

void what_is_packed_does_not_grow_with_purchases(void**) {
  GrantMap grants;
  grants.add("pro", *Identifier::parse("price_pro"));
  for (int n = 0; n < 10; ++n) {
    grants.add("course", *Identifier::parse("plink_" + std::to_string(n)));
  }
  KnownIdentifiers known;
  known.add(grants);
  auto packed = [&](int purchases) {
    Standing standing;
    standing.version = 1;
    for (int n = 0; n < purchases; ++n) {
      standing.projections.push_back(
          bought(n, static_cast<Projection::State>(n / 30 % 9)));
    }
    return pack(condense(standing, known)).size();
  };
  assert_true(packed(500) > 0);
  assert_int_equal(packed(5000), packed(500));
  assert_true(packed(5000) < 1000);
}

void other_grants_have_another_fingerprint(void**) {
  GrantMap one, two;
  one.add("pro", *Identifier::parse("price_1"));
  two.add("pro", *Identifier::parse("price_2"));
  KnownIdentifiers a, b, both, again;
  a.add(one);
  b.add(two);
  both.add(one);
  both.add(two);
  again.add(two);
  again.add(one);
  assert_true(a.fingerprint() != b.fingerprint());
  assert_true(a.fingerprint() != both.fingerprint());
  assert_true(both.fingerprint() == again.fingerprint());
  assert_true(KnownIdentifiers().fingerprint() != 0);

  Standing condensed = condense(Standing{7, {}, {}}, both);
  std::string packed = pack(condensed);
  assert_true(PackedReader(packed).known() == both.fingerprint());
  assert_true(unpack(packed)->known == both.fingerprint());
  packed = pack(Standing{7, {}, {}});
  assert_true(PackedReader(packed).known() == 0);
}

void what_names_its_entitlement_is_known_without_a_line(void**) {
  KnownIdentifiers none;
  assert_true(none.has(*Identifier::parse("feature=pro")));
  assert_true(none.has(*Identifier::parse("metadata=pro")));
  assert_false(none.has(*Identifier::parse("acct_1/feature=pro")));
  assert_false(none.has(*Identifier::parse("price_1")));
  assert_false(none.has(*Identifier::stored("later=x")));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_condensed_decides_the_same),
      cmocka_unit_test(what_is_packed_does_not_grow_with_purchases),
      cmocka_unit_test(other_grants_have_another_fingerprint),
      cmocka_unit_test(what_names_its_entitlement_is_known_without_a_line),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
