#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/source/source.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/access/fold.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Subscription;
using test::Time;

namespace {

constexpr Time kDay = 24 * 3600, kStart = 1'767'225'600;

Sources subscription(int n, Time at, std::string status, Time end = 0) {
  Subscription sub{.id = "sub_" + std::to_string(n),
                   .items = {item("pro", end ? end : at + 30 * kDay)}};
  sub.status = std::move(status);
  return test::sources_of({test::subscription_event(
      {"evt_" + std::to_string(n), at}, "updated", sub)});
}

Sources purchase(int n, Time at) {
  std::string id = std::to_string(n);
  return test::sources_of(
      {test::session_event({"evt_" + id, at}, "completed",
                           {.id = "cs_" + id,
                            .payment_intent = "pi_" + id,
                            .payment_link = "plink_1"}),
       test::charge_refunded_event(
           {"evt_r" + id, at},
           {.intent = "pi_" + id, .charge = "ch_" + id, .customer = "cus_1"},
           true)});
}

std::size_t folded(Sources& sources, Time now) {
  return fold(sources, unix_time(now));
}

void what_ended_400_days_ago_goes(void**) {
  Sources all = subscription(1, kStart, "canceled");
  merge(all, subscription(2, kStart, "unpaid"));
  merge(all, subscription(3, kStart, "active"));
  merge(all, subscription(4, kStart, "past_due"));
  Sources kept = all;
  assert_int_equal(folded(kept, kStart + 400 * kDay), 0);
  kept = all;
  assert_int_equal(folded(kept, kStart + 401 * kDay), 3);
  assert_int_equal(kept.count("sub_3"), 1);  // its period ended later
  kept = all;
  assert_int_equal(folded(kept, kStart + 431 * kDay), 4);
}

void what_may_be_effective_stays(void**) {
  Sources all = purchase(1, kStart);  // refunded: effective where policy keeps
  merge(all, subscription(2, kStart, "active", kStart + 5000 * kDay));
  all["grant:x"].granted =
      Granted{kForever, {*Identifier::parse("metadata=x")}};
  merge(all, test::sources_of({test::summary_event({"evt_9", kStart}, "cus_1",
                                                   {"sso"}, false)}));
  Sources kept = all;
  assert_int_equal(folded(kept, kStart + 4000 * kDay), 0);
  assert_true(kept == all);
}

void a_deleted_customer_is_remembered_as_long_as_anything_of_it(void**) {
  Sources all = purchase(1, kStart);
  merge(all, test::sources_of({test::customer_event({"evt_9", kStart},
                                                    "deleted", "cus_1", "")}));
  Sources kept = all;
  folded(kept, kStart + 300 * kDay);
  assert_true(kept == all);
  // Its purchase ended with it, then payment and customer go.
  for (int n = 0; n < 3; ++n) folded(kept, kStart + 500 * kDay);
  assert_true(kept.empty());
}

void above_200_the_longest_ended_go_first(void**) {
  Sources all;
  for (int n = 0; n < 250; ++n) {
    merge(all, subscription(n, kStart + n, "canceled"));
  }
  for (int n = 500; n < 520; ++n) {
    merge(all, subscription(n, kStart - 9, "active", kStart + 90 * kDay));
  }
  assert_int_equal(folded(all, kStart + kDay), 70);
  assert_int_equal(all.size(), kMaxSources);
  assert_int_equal(all.count("sub_69"), 0);
  assert_int_equal(all.count("sub_70"), 1);
  for (int n = 500; n < 520; ++n) {
    assert_int_equal(all.count("sub_" + std::to_string(n)), 1);
  }
}

void nothing_effective_goes_however_many(void**) {
  Sources all;
  for (int n = 0; n < 150; ++n) merge(all, purchase(n, kStart));
  Sources kept = all;
  assert_int_equal(folded(kept, kStart + kDay), 0);
  assert_int_equal(kept.size(), 300);
}

void folding_twice_is_folding_once(void**) {
  Sources all;
  for (int n = 0; n < 250; ++n) {
    merge(all, subscription(n, kStart + n * kDay, "canceled"));
  }
  assert_true(folded(all, kStart + 420 * kDay) > 0);
  assert_int_equal(folded(all, kStart + 420 * kDay), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_ended_400_days_ago_goes),
      cmocka_unit_test(what_may_be_effective_stays),
      cmocka_unit_test(
          a_deleted_customer_is_remembered_as_long_as_anything_of_it),
      cmocka_unit_test(above_200_the_longest_ended_go_first),
      cmocka_unit_test(nothing_effective_goes_however_many),
      cmocka_unit_test(folding_twice_is_folding_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
