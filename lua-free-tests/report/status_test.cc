#include "core/report/status.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

#include "core/json/tree.h"
#include "core/report/page.h"
#include "core/report/words.h"

using namespace entitle;

namespace {

constexpr std::int64_t kNow = 1'767'225'600;  // 2026-01-01 00:00:00 UTC

Status well() {
  Status status;
  status.now = kNow;
  status.nginx = "1.22.1";
  status.reachable = true;
  SpaceStatus& live = status.spaces.emplace_back();
  live.prefix = "entitle:";
  live.mode = Mode::live;
  SpaceStatus& test = status.spaces.emplace_back();
  test.prefix = "entitle:";
  test.mode = Mode::test;
  return status;
}

bool says(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

void the_headline_says_who_paid_and_is_not_in(void**) {
  Status status = well();
  assert_string_equal(headline(status).c_str(),
                      "Nobody who paid is kept waiting.");
  status.spaces[0].parked = {2, kNow - 14 * 60 - 20};
  assert_string_equal(
      headline(status).c_str(),
      "2 customers paid and are not in; the oldest for 14 minutes.");
  status.spaces[0].parked = {1, kNow - 1};
  status.spaces[0].unmatched = {3, kNow - 7300};
  assert_string_equal(
      headline(status).c_str(),
      "1 customer paid and is not in; the oldest for 1 second. 3 purchases "
      "open nothing; the oldest for 2 hours.");
  status.dry_runs = 1;
  assert_true(says(headline(status), "Dry run: 1 location lets everybody by."));
  status.reachable = false;
  assert_true(says(headline(status), "Redis cannot be reached"));
  assert_false(is_well(status));
}

void words_for_people(void**) {
  assert_string_equal(span_words(-5).c_str(), "0 seconds");
  assert_string_equal(span_words(119).c_str(), "119 seconds");
  assert_string_equal(span_words(120).c_str(), "2 minutes");
  assert_string_equal(span_words(3 * 86400).c_str(), "3 days");
  assert_string_equal(time_words(kNow + 3661).c_str(),
                      "2026-01-01 01:01:01 UTC");
  assert_string_equal(
      command_words("why", "o'hara $x", "entitle:", Mode::live).c_str(),
      "entitlectl why --mode live 'o'\\''hara $x'");
  assert_string_equal(
      command_words("parked", {}, "shop 1:", Mode::test).c_str(),
      "entitlectl parked --mode test --prefix 'shop 1:'");
}

void what_came_from_outside_is_escaped_on_the_page(void**) {
  Status status = well();
  GrantMap grants;
  grants.add("<b>pro", *Identifier::parse("metadata.a=<i>\"'&"));
  status.servers.push_back({"<s>", "<p>", Mode::live, &grants, {}});
  status.nginx = "<nginx>";
  status.spaces[0].prefix = "</section><script>alert(1)</script>";
  status.spaces[0].webhook = {{"last_refused", std::to_string(kNow - 60)},
                              {"last_refused_why", "<img src=x>\x01\xff"},
                              {"conflicts", "3"}};
  status.spaces[0].reconcile =
      R"({"time":1767225000,"finished":false,"counts":{"<missing>":2}})";
  const std::string page = status_page(status);
  for (const char* tag : {"<script", "<img", "<i>", "<b>pro", "<nginx>", "<p>",
                          "<missing>", "\x01", "\xff"}) {
    if (std::strcmp(tag, "<p>") != 0) assert_false(says(page, tag));
  }
  assert_true(says(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  assert_true(says(page, "metadata.a=&lt;i&gt;&quot;&#39;&amp;"));
  assert_true(says(page, "not finished"));
  assert_true(says(page, "2 &lt;missing&gt;"));
}

void the_page_needs_nothing_but_its_own_style(void**) {
  const std::string page = status_page(well());
  for (const char* none : {"<script", "javascript:", " style=", "http:",
                           "https:", "<img", "url(", "@import", "onclick"}) {
    assert_false(says(page, none));
  }
  const std::string policy = page_policy();
  assert_true(says(policy, "default-src 'none'"));
  assert_true(says(policy, "style-src 'sha256-"));
  assert_false(says(policy, "unsafe"));
}

void a_reconcile_that_cannot_be_read_breaks_nothing(void**) {
  for (const char* text : {"", "{", "[]", "\"x\"", "{\"time\":\"x\"}",
                           "{\"time\":1,\"counts\":[1]}"}) {
    Status status = well();
    status.spaces[0].reconcile = text;
    json::Error why;
    assert_true(json::parse(status_json(status), 16, why).has_value());
    assert_true(says(status_page(status), "</html>"));
  }
}

void a_fingerprint_stands_for_what_decides(void**) {
  GrantMap grants, same, other;
  grants.add("pro", *Identifier::parse("price_1"));
  grants.add("pro", *Identifier::parse("price_2"));
  same.add("pro", *Identifier::parse("price_2"));
  same.add("pro", *Identifier::parse("price_1"));
  other.add("pro", *Identifier::parse("price_1"));
  const ServerSettings one{"a", "entitle:", Mode::live, &grants, {}};
  ServerSettings two{"b", "entitle:", Mode::live, &same, {}};
  assert_string_equal(fingerprint(one).c_str(), fingerprint(two).c_str());
  assert_int_equal(fingerprint(one).size(), 32);
  two.policy.grace = Seconds{1};
  assert_string_not_equal(fingerprint(one).c_str(), fingerprint(two).c_str());
  two = one;
  two.mode = Mode::test;
  assert_string_not_equal(fingerprint(one).c_str(), fingerprint(two).c_str());
  two = one;
  two.grants = &other;
  assert_string_not_equal(fingerprint(one).c_str(), fingerprint(two).c_str());
}

void without_redis_nothing_is_said_of_what_it_has(void**) {
  Status status = well();
  status.reachable = false;
  assert_true(says(status_metrics(status), "\nentitle_redis_up 0\n"));
  assert_false(says(status_metrics(status), "entitle_parked"));
  assert_true(says(status_json(status), "\"spaces\":[]"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_headline_says_who_paid_and_is_not_in),
      cmocka_unit_test(words_for_people),
      cmocka_unit_test(what_came_from_outside_is_escaped_on_the_page),
      cmocka_unit_test(the_page_needs_nothing_but_its_own_style),
      cmocka_unit_test(a_reconcile_that_cannot_be_read_breaks_nothing),
      cmocka_unit_test(a_fingerprint_stands_for_what_decides),
      cmocka_unit_test(without_redis_nothing_is_said_of_what_it_has),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
