#include "core/redis/lease.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "lua-free-tests/redis/lease_model.h"

namespace {

using entitle::FillNumbers;
using entitle::FillStamp;
using entitle::Instance;
using entitle::Lease;
using entitle::Milliseconds;
using entitle::mono_time;
using entitle::test::LeaseModel;
using entitle::test::Tally;
using Faults = LeaseModel::Faults;
using Memory = LeaseModel::Memory;
using Without = LeaseModel::Without;

constexpr std::uint64_t kUser = 0x1234567890abcdef;
const Instance kRedis = {"10.0.0.1:6379", "run1", true, 0};

struct Zone {
  std::vector<FillNumbers::Word> words = std::vector<FillNumbers::Word>(9);
  FillNumbers numbers{words.data(), words.size()};
};

// Subscribed at 100, the heartbeat of 110 answered: holds until 210.
Lease holding() {
  Lease lease(Milliseconds{100});
  lease.subscribed(kRedis, mono_time(100));
  Lease::Beat beat = lease.beat(mono_time(110));
  lease.answered(beat, Lease::subscription);
  assert_true(lease.data_replied(beat, kRedis));
  return lease;
}

void it_counts_from_when_the_heartbeat_was_sent(void**) {
  Lease lease = holding();
  assert_true(lease.holds(mono_time(110)));
  assert_true(lease.holds(mono_time(209)));
  assert_false(lease.holds(mono_time(210)));
  Lease::Beat late = lease.beat(mono_time(120));
  lease.answered(late, Lease::subscription);
  lease.answered(late, Lease::data);
  assert_true(lease.end() == mono_time(220));
}

void every_part_has_to_answer(void**) {
  Lease lease(Milliseconds{100});
  lease.subscribed(kRedis, mono_time(100));
  assert_false(lease.holds(mono_time(100)));
  Lease::Beat beat = lease.beat(mono_time(110));
  lease.answered(beat, Lease::data);
  lease.answered(beat, Lease::data);
  assert_false(lease.holds(mono_time(111)));
  assert_true(lease.waiting_since() == mono_time(110));
  lease.answered(beat, Lease::subscription);
  assert_true(lease.holds(mono_time(111)));
  assert_false(lease.waiting_since().has_value());
}

void parts_of_different_heartbeats_do_not_add_up(void**) {
  Lease lease(Milliseconds{1000});
  lease.subscribed(kRedis, mono_time(100));
  lease.answered(lease.beat(mono_time(110)), Lease::subscription);
  lease.answered(lease.beat(mono_time(120)), Lease::data);
  lease.answered(0, Lease::data);
  lease.answered(99, Lease::data);
  assert_false(lease.holds(mono_time(121)));
}

void an_earlier_heartbeat_never_shortens_it(void**) {
  Lease lease(Milliseconds{100});
  lease.subscribed(kRedis, mono_time(100));
  Lease::Beat first = lease.beat(mono_time(110));
  Lease::Beat second = lease.beat(mono_time(120));
  for (Lease::Beat beat : {second, first}) {
    lease.answered(beat, Lease::subscription);
    lease.answered(beat, Lease::data);
  }
  assert_true(lease.end() == mono_time(220));
}

void a_heartbeat_counts_for_no_longer_than_its_limit(void**) {
  Lease lease(Milliseconds{100});
  lease.subscribed(kRedis, mono_time(100));
  Lease::Beat beat = lease.beat(mono_time(110), mono_time(150));
  lease.answered(beat, Lease::subscription);
  lease.data_replied(beat, kRedis);
  assert_true(lease.holds(mono_time(149)));
  assert_false(lease.holds(mono_time(150)));
}

void the_oldest_unanswered_heartbeat_is_given_up(void**) {
  Lease lease(Milliseconds{1000});
  lease.subscribed(kRedis, mono_time(1));
  Lease::Beat first = lease.beat(mono_time(10));
  for (int t = 20; t < 100; t += 10) lease.beat(mono_time(t));
  lease.answered(first, Lease::subscription);
  lease.answered(first, Lease::data);
  assert_false(lease.holds(mono_time(100)));
  assert_true(lease.waiting_since() == mono_time(20));
}

void a_heartbeat_from_before_a_reconnect_proves_nothing(void**) {
  Lease lease = holding();
  Lease::Beat beat = lease.beat(mono_time(120));
  lease.lost();
  assert_false(lease.holds(mono_time(121)));
  lease.answered(beat, Lease::subscription);
  assert_false(lease.data_replied(beat, kRedis));
  lease.subscribed(kRedis, mono_time(130));
  lease.answered(beat, Lease::subscription);
  lease.answered(beat, Lease::data);
  assert_false(lease.holds(mono_time(131)));
}

void a_fill_after_the_start_is_believed(void**) {
  Zone zone;
  Lease lease = holding();
  FillStamp stamp = *lease.begin_fill(zone.numbers, kUser, mono_time(120));
  assert_true(Lease::may_store(stamp, zone.numbers, kUser));
  assert_true(lease.may_believe(stamp, zone.numbers, kUser, mono_time(130)));
  assert_false(lease.may_believe(stamp, zone.numbers, kUser, mono_time(210)));
}

void what_others_filled_before_the_start_is_not_believed(void**) {
  Zone zone;
  Lease other(Milliseconds{1000});
  other.subscribed(kRedis, mono_time(1));
  other.reads_from(kRedis);
  Lease lease = holding();
  FillStamp stamp = *other.begin_fill(zone.numbers, kUser, mono_time(100));
  assert_false(lease.may_believe(stamp, zone.numbers, kUser, mono_time(130)));
  stamp = *other.begin_fill(zone.numbers, kUser, mono_time(101));
  assert_true(lease.may_believe(stamp, zone.numbers, kUser, mono_time(130)));
}

void a_change_overtakes_a_fill(void**) {
  Zone zone;
  Lease lease = holding();
  FillStamp stamp = *lease.begin_fill(zone.numbers, kUser, mono_time(120));
  zone.numbers.changed(kUser);
  assert_false(Lease::may_store(stamp, zone.numbers, kUser));
  assert_true(Lease::is_outdated(stamp, zone.numbers, kUser));
  assert_false(lease.may_believe(stamp, zone.numbers, kUser, mono_time(130)));
}

void another_users_change_is_another_matter(void**) {
  Zone zone;
  Lease lease = holding();
  FillStamp stamp = *lease.begin_fill(zone.numbers, kUser, mono_time(120));
  zone.numbers.changed(~kUser);
  assert_false(Lease::is_outdated(stamp, zone.numbers, kUser));
}

void a_flush_outdates_everybody(void**) {
  Zone zone;
  Lease lease = holding();
  for (std::uint64_t user : {std::uint64_t{0}, kUser, ~std::uint64_t{0}}) {
    FillStamp stamp = *lease.begin_fill(zone.numbers, user, mono_time(120));
    zone.numbers.everything_changed();
    assert_true(Lease::is_outdated(stamp, zone.numbers, user));
  }
}

void another_instance_ends_the_lease(void**) {
  for (const Instance& other : {Instance{"10.0.0.2:6379", "run1", true, 0},
                                Instance{"10.0.0.1:6379", "run2", true, 0},
                                Instance{"10.0.0.1:6379", "run1", false, 0},
                                Instance{"10.0.0.1:6379", "run1", true, 1}}) {
    assert_true(other.tag() != kRedis.tag());
    Lease lease = holding();
    assert_false(lease.data_replied(lease.beat(mono_time(120)), other));
    assert_false(lease.holds(mono_time(120)));
  }
}

void what_another_instance_said_is_not_believed(void**) {
  Zone zone;
  Lease lease = holding();
  Lease elsewhere(Milliseconds{100});
  Instance other = {"10.0.0.2:6379", "run1", true, 0};
  elsewhere.subscribed(other, mono_time(1));
  elsewhere.reads_from(other);
  FillStamp stamp = *elsewhere.begin_fill(zone.numbers, kUser, mono_time(120));
  assert_true(Lease::may_store(stamp, zone.numbers, kUser));
  assert_false(lease.may_believe(stamp, zone.numbers, kUser, mono_time(130)));
}

void what_is_not_listened_to_is_not_stored(void**) {
  Zone zone;
  auto stored = [&](const Lease& lease) {
    return lease.begin_fill(zone.numbers, kUser, mono_time(120)).has_value();
  };
  Lease lease = holding();
  assert_true(stored(lease));
  lease.reads_from(Instance{"10.0.0.2:6379", "run1", true, 0});
  assert_false(stored(lease));
  lease.reads_from(kRedis);
  assert_true(stored(lease));
  lease.reads_from(std::nullopt);
  assert_false(stored(lease));
}

void without_a_subscription_nothing_is_stored_or_believed(void**) {
  Zone zone;
  Lease lease(Milliseconds{100});
  assert_false(lease.begin_fill(zone.numbers, kUser, mono_time(1)).has_value());
  assert_false(Lease::may_store({}, zone.numbers, kUser));
  assert_false(lease.may_believe({}, zone.numbers, kUser, mono_time(1)));
  assert_false(holding().may_believe({}, zone.numbers, kUser, mono_time(130)));
}

constexpr int kRuns = 100;

Tally runs(Faults faults, Memory memory) {
  Tally tally;
  for (int seed = 0; seed < kRuns; ++seed) {
    LeaseModel model(seed, faults, Without::nothing, memory);
    tally += model.run();
  }
  return tally;
}

void never_older_than_the_lease_whatever_fails(void**) {
  for (Memory memory : {Memory::off, Memory::on}) {
    const Tally tally = runs(Faults::all, memory);
    assert_int_equal(tally.older_than_lease, 0);
    // It did believe, also old values while the lease allowed it, and it met
    // every kind of trouble.
    assert_true(tally.believed > 100 * kRuns);
    assert_true(tally.old_within_lease > 0);
    assert_true(tally.overtaken_fills > kRuns);
    assert_true(tally.reconnects > kRuns);
    assert_true(memory == Memory::on ? tally.remembered > 50 * kRuns
                                     : tally.remembered == 0);
  }
}

// Nothing fails and nothing is slow: a change is known as soon as its message
// has come.
void as_fresh_as_the_network_where_nothing_fails(void**) {
  for (Memory memory : {Memory::off, Memory::on}) {
    const Tally tally = runs(Faults::none, memory);
    assert_int_equal(tally.older_than_network, 0);
    assert_int_equal(tally.older_than_lease, 0);
    assert_true(tally.believed > 300 * kRuns);
  }
}

// The model is able to find what it looks for: take one rule away, and
// something too old is believed.
void is_needed(Without rule, Memory memory) {
  Tally tally;
  for (int seed = 0; seed < 10 * kRuns && tally.older_than_lease == 0; ++seed) {
    LeaseModel model(seed, Faults::all, rule, memory);
    tally += model.run();
  }
  if (tally.older_than_lease == 0) {
    fail_msg("without rule %d nothing went wrong", static_cast<int>(rule));
  }
}

void every_rule_is_needed(void**) {
  for (Without rule : {Without::invalidations, Without::numbers, Without::start,
                       Without::lease, Without::sending_time, Without::pong,
                       Without::instance, Without::warrant}) {
    is_needed(rule, Memory::off);
    is_needed(rule, Memory::on);
  }
  is_needed(Without::looking, Memory::on);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_counts_from_when_the_heartbeat_was_sent),
      cmocka_unit_test(every_part_has_to_answer),
      cmocka_unit_test(parts_of_different_heartbeats_do_not_add_up),
      cmocka_unit_test(an_earlier_heartbeat_never_shortens_it),
      cmocka_unit_test(a_heartbeat_counts_for_no_longer_than_its_limit),
      cmocka_unit_test(the_oldest_unanswered_heartbeat_is_given_up),
      cmocka_unit_test(a_heartbeat_from_before_a_reconnect_proves_nothing),
      cmocka_unit_test(a_fill_after_the_start_is_believed),
      cmocka_unit_test(what_others_filled_before_the_start_is_not_believed),
      cmocka_unit_test(a_change_overtakes_a_fill),
      cmocka_unit_test(another_users_change_is_another_matter),
      cmocka_unit_test(a_flush_outdates_everybody),
      cmocka_unit_test(another_instance_ends_the_lease),
      cmocka_unit_test(what_another_instance_said_is_not_believed),
      cmocka_unit_test(what_is_not_listened_to_is_not_stored),
      cmocka_unit_test(without_a_subscription_nothing_is_stored_or_believed),
      cmocka_unit_test(never_older_than_the_lease_whatever_fails),
      cmocka_unit_test(as_fresh_as_the_network_where_nothing_fails),
      cmocka_unit_test(every_rule_is_needed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
