#include "core/stripe/lost_event.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;

namespace {

// As Stripe sends it, with what stands in the braces added.
std::optional<LostEvent> told(
    const std::string& more,
    const char* type = "v2.core.health.event_generation_failure.resolved") {
  const std::string text =
      R"({"id":"evt_test_65","object":"v2.core.event","context":null,)"
      R"("created":"2026-01-01T00:00:00.000Z","livemode":true,"type":")" +
      std::string(type) + "\"" + more + "}";
  return lost_event(test::event(text));
}

void the_impact_names_what_was_lost(void**) {
  const auto lost = told(
      R"(,"related_object":null,"data":{"alert_id":"a","impact":{"context":null,)"
      R"("event_type":"customer.subscription.updated","related_object":)"
      R"({"id":"sub_1","type":"subscription","url":"/v1/subscriptions/sub_1"}}})");
  assert_true(lost.has_value());
  assert_string_equal(lost->object.c_str(), "sub_1");
  assert_string_equal(lost->type.c_str(), "customer.subscription.updated");
}

void so_does_a_notification_without_data(void**) {
  const auto lost =
      told(R"(,"related_object":{"id":"cs_1","type":"x","url":"/v1/x"})");
  assert_true(lost.has_value());
  assert_string_equal(lost->object.c_str(), "cs_1");
  assert_string_equal(lost->type.c_str(), "");
}

void what_names_nothing_or_is_something_else_is_none(void**) {
  assert_false(told("").has_value());
  assert_false(
      told(R"(,"related_object":{"id":"../x y","type":"x"})").has_value());
  assert_false(told(R"(,"related_object":{"id":"sub_1"})",
                    "v2.core.health.webhook_latency.resolved")
                   .has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_impact_names_what_was_lost),
      cmocka_unit_test(so_does_a_notification_without_data),
      cmocka_unit_test(what_names_nothing_or_is_something_else_is_none),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
