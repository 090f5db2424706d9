#include "core/stripe/event.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/base/types.h"
#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;

namespace {

const std::string kEvent =
    R"({"id":"evt_1","object":"event","created":1767225600,"livemode":false,)"
    R"("type":"price.created","data":{"object":{"id":"price_1"}}})";

std::string with(std::string text, const std::string& from,
                 const std::string& to) {
  std::size_t at = text.find(from);
  assert_int_not_equal(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

void assert_refused(const std::string& body, EventError error) {
  ParsedEvent parsed = test::parse(body);
  if (parsed.event) fail_msg("accepted: %s", body.substr(0, 200).c_str());
  if (parsed.error != error) {
    fail_msg("%s: %s", body.substr(0, 200).c_str(), parsed.detail.c_str());
  }
  assert_false(parsed.detail.empty());
}

std::string nested(std::size_t depth) {
  // The value stands at depth 1, inside the event itself.
  std::string value = std::string(depth - 1, '[') + std::string(depth - 1, ']');
  return with(kEvent, R"("livemode")", "\"deep\":" + value + ",\"livemode\"");
}

void an_envelope_is_read(void**) {
  Event event = test::event(kEvent);
  assert_string_equal(event.head.id.c_str(), "evt_1");
  assert_string_equal(event.head.type.c_str(), "price.created");
  assert_int_equal(to_unix(event.head.created), 1767225600);
  assert_false(event.head.livemode);
  assert_true(event.head.account.is_own());
  assert_false(event.thin);
  assert_non_null(event.object);
  assert_null(event.previous);
}

void account_and_previous_attributes_are_read(void**) {
  std::string body =
      with(kEvent, R"("created")", R"("account":"acct_9","created")");
  body = with(body, R"("data":{)", R"("data":{"previous_attributes":{"a":1},)");
  Event event = test::event(with(body, "false", "true"));
  assert_string_equal(event.head.account.str().c_str(), "acct_9");
  assert_true(event.head.livemode);
  assert_string_equal(test::dump(event.previous).c_str(), R"({"a":1})");
}

void what_is_no_json_is_said_to_be_none(void**) {
  for (std::string body :
       {std::string(), std::string("payload"), std::string("{"), kEvent + "x",
        kEvent.substr(0, kEvent.size() - 1), "\xef\xbb\xbf" + kEvent,
        with(kEvent, "evt_1", "evt_\xff"), with(kEvent, "evt_1", "e\nv"),
        with(kEvent, "1767225600", "01767225600"),
        with(kEvent, "1767225600", "99999999999999999999"),
        with(kEvent, "1767225600", "1e999")}) {
    assert_refused(body, EventError::body_not_json);
  }
}

void duplicate_members_are_refused(void**) {
  assert_refused(
      with(kEvent, R"("id":"evt_1")", R"("id":"evt_1","id":"evt_2")"),
      EventError::body_not_json);
  assert_refused(with(kEvent, R"("id":"price_1")", R"("a":1,"a":1)"),
                 EventError::body_not_json);
}

void json_that_is_no_event_is_said_to_be_none(void**) {
  for (std::string body :
       {std::string("{}"),
        std::string("[]"),
        std::string("[{}]"),
        with(kEvent, R"("evt_1")", "null"),
        with(kEvent, "evt_1", "ev_1"),
        with(kEvent, "evt_1", "evt_a b"),
        with(kEvent, "evt_1", "evt_a/b"),
        with(kEvent, "evt_1", "evt_" + std::string(252, 'x')),
        with(kEvent, R"("price.created")", "7"),
        with(kEvent, R"("price.created")", R"("")"),
        with(kEvent, R"("price.created")", R"("a b")"),
        with(kEvent, R"("event")", R"("list")"),
        with(kEvent, R"("livemode":false)", R"("livemode":0)"),
        with(kEvent, R"("livemode":false)", R"("livemode":null)"),
        with(kEvent, "1767225600", "0"),
        with(kEvent, "1767225600", "-1"),
        with(kEvent, "1767225600", "1099511627776"),
        with(kEvent, "1767225600", "1767225600.0"),
        with(kEvent, "1767225600", R"("1767225600")"),
        with(kEvent, R"({"id":"price_1"})", "null"),
        with(kEvent, R"({"id":"price_1"})", R"("price_1")"),
        with(kEvent, R"({"object":{"id":"price_1"}})", "[]"),
        with(kEvent, R"("created")", R"("account":"cus_1","created")"),
        with(kEvent, R"("created")", R"("account":"acct_a-b","created")"),
        with(kEvent, R"("created")", R"("account":7,"created")")}) {
    assert_refused(body, EventError::not_an_event);
  }
}

// What an organisation's destination sends.
void an_account_may_be_said_by_the_context_alone(void**) {
  auto account = [](const std::string& members) {
    Event event =
        test::event(with(kEvent, R"("created")", members + R"("created")"));
    return event.head.account.str();
  };
  assert_string_equal(account(R"("context":"acct_9",)").c_str(), "acct_9");
  assert_string_equal(account(R"("account":null,"context":"acct_9",)").c_str(),
                      "acct_9");
  assert_string_equal(
      account(R"("account":"acct_8","context":"acct_9",)").c_str(), "acct_8");
  assert_string_equal(account(R"("context":"acct_9/acct_8",)").c_str(),
                      "acct_8");
  assert_string_equal(account(R"("context":null,)").c_str(), "");
  for (const char* context : {"\"\"", "\"org_1\"", "7", "{}", "\"acct_9/\""}) {
    assert_refused(with(kEvent, R"("created")",
                        "\"context\":" + std::string(context) + ",\"created\""),
                   EventError::not_an_event);
  }
}

void a_null_account_is_our_own(void**) {
  Event event =
      test::event(with(kEvent, R"("created")", R"("account":null,"created")"));
  assert_true(event.head.account.is_own());
}

void a_thin_event_is_known_by_id_and_type(void**) {
  Event event = test::event(test::fixture("edge/thin_event.json"));
  assert_true(event.thin);
  assert_null(event.object);
  assert_string_equal(event.head.type.c_str(),
                      "v1.customer.subscription.updated");
  assert_false(test::facts_of_fixture("edge/thin_event.json").note.empty());
}

void nesting_is_bounded(void**) {
  assert_non_null(test::event(nested(kMaxEventDepth)).object);
  assert_refused(nested(kMaxEventDepth + 1), EventError::body_not_json);
  assert_refused(nested(10'000), EventError::body_not_json);
  assert_refused(std::string(1'000'000, '['), EventError::body_not_json);
  assert_refused(std::string(1'000'000, '{'), EventError::body_not_json);
}

void brackets_in_strings_are_no_nesting(void**) {
  std::string brackets(200, '[');
  assert_non_null(
      test::event(with(kEvent, R"("price_1")", "\"\\\"\\\\" + brackets + "\""))
          .object);
}

void size_is_bounded(void**) {
  std::string body = with(kEvent, "price_1", std::string(1000, 'x'));
  assert_true(test::parse(body, body.size()).event.has_value());
  ParsedEvent parsed = test::parse(body, body.size() - 1);
  assert_false(parsed.event.has_value());
  assert_int_equal(parsed.error, EventError::body_not_json);
}

void a_refusal_never_quotes_the_body(void**) {
  ParsedEvent parsed = test::parse(R"({"secret_pan":"4242" "oops"})");
  assert_false(parsed.event.has_value());
  assert_int_equal(parsed.detail.find("4242"), std::string::npos);
  assert_int_equal(parsed.detail.find("oops"), std::string::npos);
  assert_int_equal(parsed.detail.find("secret"), std::string::npos);
}

void escapes_and_white_space_change_nothing(void**) {
  Facts facts = test::facts_of_fixture("edge/escaped_slash_whitespace.json");
  assert_string_equal(facts.customer.c_str(), "cus_Fx0000000001");
  assert_string_equal(facts.places.back().claims.at(0).target.str().c_str(),
                      "u:42");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_envelope_is_read),
      cmocka_unit_test(account_and_previous_attributes_are_read),
      cmocka_unit_test(what_is_no_json_is_said_to_be_none),
      cmocka_unit_test(duplicate_members_are_refused),
      cmocka_unit_test(json_that_is_no_event_is_said_to_be_none),
      cmocka_unit_test(an_account_may_be_said_by_the_context_alone),
      cmocka_unit_test(a_null_account_is_our_own),
      cmocka_unit_test(a_thin_event_is_known_by_id_and_type),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(brackets_in_strings_are_no_nesting),
      cmocka_unit_test(size_is_bounded),
      cmocka_unit_test(a_refusal_never_quotes_the_body),
      cmocka_unit_test(escapes_and_white_space_change_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
