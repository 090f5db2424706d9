#include "core/access/grants.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/access/access.h"
#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

using namespace entitle;

namespace {

Identifier id(std::string_view text) { return *Identifier::parse(text); }

std::string given(const GrantMap& grants, std::string_view identifier) {
  std::string all;
  Identifier known = id(identifier);
  for (std::string_view name : grants.entitlements_of(known)) {
    all.append(name).append(" ");
    assert_true(grants.gives(known, name));
  }
  return all;
}

void a_line_gives_its_entitlement(void**) {
  GrantMap grants;
  grants.add("pro", id("price_1"));
  grants.add("pro", id("price_1"));
  grants.add("beta", id("price_1"));
  grants.add("team", id("lookup_key=team"));
  assert_string_equal(given(grants, "price_1").c_str(), "beta pro ");
  assert_string_equal(given(grants, "lookup_key=team").c_str(), "team ");
  assert_string_equal(given(grants, "price_2").c_str(), "");
  assert_false(grants.gives(id("price_1"), "team"));
  assert_false(grants.gives(id("price_2"), "pro"));
}

void features_and_names_give_their_namesakes_unless_a_line_says(void**) {
  GrantMap grants;
  assert_string_equal(given(grants, "feature=sso").c_str(), "sso ");
  assert_string_equal(given(grants, "metadata=pro").c_str(), "pro ");
  assert_string_equal(given(grants, "lookup_key=pro").c_str(), "");
  grants.add("single-sign-on", id("feature=sso"));
  assert_string_equal(given(grants, "feature=sso").c_str(), "single-sign-on ");
  assert_false(grants.gives(id("feature=sso"), "sso"));
}

void a_connected_account_names_nothing_of_ours(void**) {
  GrantMap grants;
  grants.add("pro", id("price_1"));
  assert_string_equal(given(grants, "acct_1/feature=admin").c_str(), "");
  assert_string_equal(given(grants, "acct_1/metadata=admin").c_str(), "");
  assert_false(grants.gives(id("acct_1/feature=admin"), "admin"));
  assert_string_equal(given(grants, "acct_1/price_1").c_str(), "");
  grants.add("shop", id("acct_1/feature=admin"));
  assert_string_equal(given(grants, "acct_1/feature=admin").c_str(), "shop ");
}

void an_entitlement_lasts_as_long_as_the_longest_that_gives_it(void**) {
  GrantMap grants;
  grants.add("pro", id("price_1"));
  grants.add("pro", id("price_2"));
  Policy policy;
  policy.grace = Seconds{0};
  std::vector<Projection> projections(3);
  projections[0].state = Projection::State::active;
  projections[0].end = unix_time(100);
  projections[0].identifiers = {id("price_1")};
  projections[1] = projections[0];
  projections[1].end = unix_time(200);
  projections[1].identifiers = {id("feature=sso"), id("price_2")};
  projections[2] = projections[0];
  projections[2].end = unix_time(50);
  projections[2].identifiers = {id("metadata=over")};

  std::vector<Entitlement> now =
      entitlements(projections, grants, policy, unix_time(60));
  assert_int_equal(now.size(), 2);
  assert_string_equal(now[0].name.c_str(), "pro");
  assert_int_equal(to_unix(now[0].until), 200);
  assert_string_equal(now[1].name.c_str(), "sso");
  assert_true(
      entitlements(projections, grants, policy, unix_time(200)).empty());
}

void a_name_is_known_where_a_line_gives_it(void**) {
  GrantMap grants;
  assert_true(grants.empty());
  assert_false(grants.names("sso"));  // feature=sso would give it all the same
  grants.add("pro", id("price_1"));
  grants.add("beta", id("price_1"));
  assert_false(grants.empty());
  assert_true(grants.names("pro"));
  assert_true(grants.names("beta"));
  assert_false(grants.names("sso"));
  assert_false(grants.names("price_1"));
}

void grants_of_several_are_what_any_of_them_gives(void**) {
  GrantMap all, one, other;
  one.add("pro", id("price_1"));
  one.add("pro", id("price_2"));
  other.add("beta", id("price_1"));
  all.add(one);
  all.add(other);
  all.add(one);
  assert_string_equal(given(all, "price_1").c_str(), "beta pro ");
  assert_string_equal(given(all, "price_2").c_str(), "pro ");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(grants_of_several_are_what_any_of_them_gives),
      cmocka_unit_test(a_line_gives_its_entitlement),
      cmocka_unit_test(
          features_and_names_give_their_namesakes_unless_a_line_says),
      cmocka_unit_test(a_name_is_known_where_a_line_gives_it),
      cmocka_unit_test(a_connected_account_names_nothing_of_ours),
      cmocka_unit_test(
          an_entitlement_lasts_as_long_as_the_longest_that_gives_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
