// The gate's rules: fresh or not, and what happens then.
#include "core/access/decision.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/access/projection.h"
#include "core/access/standing.h"
#include "core/base/types.h"
#include "core/source/identifier.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using State = Projection::State;

constexpr std::int64_t kNow = 1'800'000'000;
const UnixTime now = unix_time(kNow);

UnixTime in(std::int64_t seconds) { return unix_time(kNow + seconds); }

Projection source(State state, const char* identifier, UnixTime end) {
  Projection projection;
  projection.source = "sub_1";
  projection.state = state;
  projection.end = end;
  projection.identifiers = {*Identifier::parse(identifier)};
  return projection;
}

// price_pro gives pro; team and beta by their metadata namesakes.
GrantMap grants() {
  GrantMap map;
  map.add("pro", *Identifier::parse("price_pro"));
  return map;
}

Policy no_grace() {
  Policy policy;
  policy.grace = Seconds{0};
  return policy;
}

Standing holding(std::vector<Projection> projections) {
  Standing standing;
  standing.version = 7;
  standing.projections = std::move(projections);
  return standing;
}

Ruling ruled(const Standing& standing, std::vector<Alternatives> lines) {
  return decide(standing, lines, grants(), no_grace(), now);
}

void is(const Ruling& ruling, Decision decision, Reason reason) {
  assert_string_equal(name(ruling.decision).data(), name(decision).data());
  assert_string_equal(name(ruling.reason).data(), name(reason).data());
}

Identity session(std::int64_t version, std::int64_t issued_ago) {
  Identity identity;
  identity.user = User::from("u1");
  identity.why = Reason::ok;
  identity.version = version;
  identity.issued_at = in(-issued_ago);
  identity.recheck_at = in(-issued_ago + 300);
  return identity;
}

// --- fresh ---

void a_session_of_the_record_s_version_is_fresh(void**) {
  assert_true(fresh(session(7, 10), holding({}), now));
}

void any_other_version_is_stale(void**) {
  assert_false(fresh(session(6, 10), holding({}), now));
  assert_false(fresh(session(8, 10), holding({}), now));
  assert_false(fresh(session(7, 10), Standing{}, now));  // the record is gone
}

void without_a_record_a_session_of_version_0_is_fresh(void**) {
  assert_true(fresh(session(0, 10), Standing{}, now));
  assert_false(fresh(session(0, 10), holding({}), now));  // now there is one
}

void a_session_is_rechecked_in_time(void**) {
  assert_true(fresh(session(7, 299), holding({}), now));
  assert_false(fresh(session(7, 300), holding({}), now));
}

void older_than_not_before_is_stale(void**) {
  Standing standing = holding({});
  standing.not_before = in(-10);
  assert_true(fresh(session(7, 9), standing, now));
  assert_true(fresh(session(7, 10), standing, now));
  assert_false(fresh(session(7, 11), standing, now));
}

void an_identity_without_times_and_version_is_always_fresh(void**) {
  Standing standing = holding({});
  standing.not_before = in(100);
  Identity trusted;
  trusted.user = User::from("u1");
  assert_true(fresh(trusted, standing, now));
}

void a_token_without_version_still_obeys_not_before(void**) {
  Standing standing = holding({});
  standing.not_before = in(-10);
  Identity token;
  token.user = User::from("u1");
  token.issued_at = in(-11);
  assert_false(fresh(token, standing, now));
}

// --- decide ---

void what_was_bought_opens(void**) {
  const Ruling ruling =
      ruled(holding({source(State::active, "price_pro", in(60))}), {{"pro"}});
  is(ruling, Decision::allow, Reason::ok);
  assert_int_equal(to_unix(ruling.until), kNow + 60);
  assert_int_equal(ruling.entitlements.size(), 1);
  assert_true(ruling.missing.empty());
}

void a_location_that_requires_nothing_opens_to_any_user(void**) {
  const Ruling ruling = ruled(Standing{}, {});
  is(ruling, Decision::allow, Reason::ok);
  assert_true(ruling.until == kForever);
}

void one_alternative_is_enough(void**) {
  const Standing standing =
      holding({source(State::active, "price_pro", in(60))});
  is(ruled(standing, {{"team", "pro"}}), Decision::allow, Reason::ok);
}

void every_line_must_hold(void**) {
  const Standing standing =
      holding({source(State::active, "price_pro", in(60))});
  const Ruling ruling = ruled(standing, {{"pro"}, {"team", "beta"}});
  is(ruling, Decision::pay, Reason::not_entitled);
  assert_int_equal(ruling.missing.size(), 2);
  assert_string_equal(ruling.missing[0].c_str(), "beta");
  assert_string_equal(ruling.missing[1].c_str(), "team");
  assert_int_equal(ruling.entitlements.size(), 1);
}

void access_ends_when_its_first_line_does(void**) {
  const Standing standing =
      holding({source(State::active, "price_pro", in(60)),
               source(State::active, "metadata=team", in(30)),
               source(State::active, "metadata=beta", in(90))});
  assert_int_equal(to_unix(ruled(standing, {{"pro"}, {"team"}}).until),
                   kNow + 30);
  assert_int_equal(to_unix(ruled(standing, {{"team", "beta"}}).until),
                   kNow + 90);
}

void a_line_whose_names_came_out_empty_holds_for_nobody(void**) {
  const Standing standing =
      holding({source(State::active, "price_pro", in(60))});
  is(ruled(standing, {{""}}), Decision::pay, Reason::not_entitled);
  is(ruled(standing, {{}}), Decision::pay, Reason::not_entitled);
  is(ruled(standing, {{"", "pro"}}), Decision::allow, Reason::ok);
}

void why_it_no_longer_opens_is_told(void**) {
  is(ruled(holding({source(State::ended, "price_pro", in(-60))}), {{"pro"}}),
     Decision::pay, Reason::ended);
  is(ruled(holding({source(State::refunded, "price_pro", kForever)}),
           {{"pro"}}),
     Decision::pay, Reason::refunded);
  Projection disputed = source(State::disputed, "price_pro", kForever);
  disputed.disputed = true;
  is(ruled(holding({disputed}), {{"pro"}}), Decision::pay, Reason::disputed);
  is(ruled(holding({source(State::not_paid, "price_pro", kForever)}),
           {{"pro"}}),
     Decision::pay, Reason::not_paid);
  Projection unpaid = source(State::past_due, "price_pro", kForever);
  unpaid.since = in(-3600 * 24 * 30);
  is(ruled(holding({unpaid}), {{"pro"}}), Decision::pay, Reason::past_due_over);
}

void what_lapsed_elsewhere_is_no_reason_here(void**) {
  const Standing standing =
      holding({source(State::ended, "metadata=team", in(-60))});
  is(ruled(standing, {{"pro"}}), Decision::pay, Reason::not_entitled);
}

void of_two_lapsed_sources_the_one_to_mend_is_told(void**) {
  Projection unpaid = source(State::past_due, "price_pro", kForever);
  unpaid.since = in(-3600 * 24 * 30);
  is(ruled(holding({source(State::refunded, "price_pro", kForever), unpaid,
                    source(State::ended, "price_pro", in(-60))}),
           {{"pro"}}),
     Decision::pay, Reason::past_due_over);
}

void that_it_is_paused_is_told_before_all_else(void**) {
  Projection paused = source(State::active, "price_pro", in(60));
  paused.paused_until = in(30);
  Projection unpaid = source(State::past_due, "price_pro", kForever);
  unpaid.since = in(-3600 * 24 * 30);
  const Standing standing = holding({unpaid, paused});
  const std::vector<Alternatives> lines = {{"pro"}};
  is(decide(standing, lines, grants(), no_grace(), now), Decision::allow,
     Reason::ok);
  Policy revokes = no_grace();
  revokes.pause_revokes = true;
  const Ruling ruling = decide(standing, lines, grants(), revokes, now);
  is(ruling, Decision::pay, Reason::collection_paused);
  assert_string_equal(std::string(name(ruling.reason)).c_str(),
                      "collection_paused");
  const Ruling resumed = decide(standing, lines, grants(), revokes, in(30));
  is(resumed, Decision::allow, Reason::ok);
  assert_true(resumed.until == in(60));
}

void the_moment_decides(void**) {
  const Standing standing =
      holding({source(State::ending, "price_pro", in(1))});
  const std::vector<Alternatives> lines = {{"pro"}};
  is(decide(standing, lines, grants(), no_grace(), now), Decision::allow,
     Reason::ok);
  is(decide(standing, lines, grants(), no_grace(), in(1)), Decision::pay,
     Reason::ended);
}

void guests_log_in_and_doubt_is_no_refusal(void**) {
  is(not_logged_in(Reason::session_expired), Decision::login,
     Reason::session_expired);
  is(cannot_tell(Reason::redis_unreachable), Decision::error,
     Reason::redis_unreachable);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_session_of_the_record_s_version_is_fresh),
      cmocka_unit_test(any_other_version_is_stale),
      cmocka_unit_test(without_a_record_a_session_of_version_0_is_fresh),
      cmocka_unit_test(a_session_is_rechecked_in_time),
      cmocka_unit_test(older_than_not_before_is_stale),
      cmocka_unit_test(an_identity_without_times_and_version_is_always_fresh),
      cmocka_unit_test(a_token_without_version_still_obeys_not_before),
      cmocka_unit_test(what_was_bought_opens),
      cmocka_unit_test(a_location_that_requires_nothing_opens_to_any_user),
      cmocka_unit_test(one_alternative_is_enough),
      cmocka_unit_test(every_line_must_hold),
      cmocka_unit_test(access_ends_when_its_first_line_does),
      cmocka_unit_test(a_line_whose_names_came_out_empty_holds_for_nobody),
      cmocka_unit_test(why_it_no_longer_opens_is_told),
      cmocka_unit_test(what_lapsed_elsewhere_is_no_reason_here),
      cmocka_unit_test(of_two_lapsed_sources_the_one_to_mend_is_told),
      cmocka_unit_test(that_it_is_paused_is_told_before_all_else),
      cmocka_unit_test(the_moment_decides),
      cmocka_unit_test(guests_log_in_and_doubt_is_no_refusal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
