#include "core/report/counters.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/report/exposition.h"

using namespace entitle;

namespace {

std::string exposed(const Totals& totals) {
  std::string text;
  Exposition out(text);
  write_totals(out, totals);
  return text;
}

void assert_says(const std::string& text, const std::string& line) {
  if (("\n" + text).find("\n" + line + "\n") == std::string::npos) {
    fail_msg("no \"%s\" in:\n%s", line.c_str(), text.c_str());
  }
}

void rows_are_summed_whoever_added_to_them(void**) {
  auto rows = std::make_unique<std::array<SharedTally, 3>>();
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; i++) {  // more than rows: two meet in one
    workers.emplace_back([&, i] {
      SharedTally& mine = (*rows)[static_cast<std::size_t>(i) % rows->size()];
      for (int n = 0; n < 10000; n++) {
        count(mine, Decision::pay, Reason::ended);
        mine.remembered += 1;
        mine.answer_times.add(kAnswerTimes, 30);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  Totals totals{};
  for (const SharedTally& row : *rows) add(totals, row);
  assert_int_equal(decided(totals, Decision::pay), 40000);
  assert_int_equal(decided(totals, Decision::allow), 40000);
  assert_int_equal(totals.answer_times.sum, 1200000);
}

void who_is_remembered_is_an_allow_and_a_hit(void**) {
  Totals totals{};
  totals.remembered = 5;
  count(totals, Decision::allow, Reason::ok);
  count(totals, Lookup::hit);
  const std::string text = exposed(totals);
  assert_says(
      text, R"(entitle_gate_decisions_total{decision="allow",reason="ok"} 6)");
  assert_says(text, R"(entitle_record_lookups_total{cache="hit"} 6)");
}

// A series that begins above zero is none that rose.
void what_may_come_is_there_from_the_beginning(void**) {
  const std::string text = exposed(Totals{});
  assert_says(
      text, R"(entitle_gate_decisions_total{decision="pay",reason="ended"} 0)");
  assert_says(text, R"(entitle_wait_total{result="in_vain"} 0)");
  assert_says(
      text,
      R"(entitle_webhook_events_total{mode="live",outcome="signature_mismatch"} 0)");
  assert_says(
      text, R"(entitle_webhook_events_total{mode="test",outcome="applied"} 0)");
  assert_says(text, R"(entitle_redis_errors_total{kind="timed_out"} 0)");
  assert_null(std::strstr(text.c_str(), R"(decision="pay",reason="ok")"));
}

void every_reason_goes_with_one_decision_or_with_an_allow(void**) {
  for (std::size_t r = 0; r < kReasons; r++) {
    int refusals = 0;
    for (const Decision decision :
         {Decision::login, Decision::pay, Decision::error}) {
      refusals += goes_with(static_cast<Reason>(r), decision) ? 1 : 0;
    }
    const auto reason = static_cast<Reason>(r);
    // Of a response that was under way, which is no decision about a request.
    const bool is_none = reason == Reason::ok || reason == Reason::logged_out;
    assert_int_equal(refusals, is_none ? 0 : 1);
  }
}

void names_are_words_and_differ(void**) {
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < kRefusals; i++) {
    words.push_back(name(static_cast<Refusal>(i)));
  }
  for (std::size_t i = 0; i < kOutcomes; i++) {
    words.push_back(name(static_cast<Outcome>(i)));
  }
  for (std::size_t i = 0; i < words.size(); i++) {
    assert_true(words[i].size() > 3);
    for (std::size_t k = 0; k < i; k++) assert_true(words[i] != words[k]);
  }
}

void a_time_is_in_every_bucket_that_it_fits(void**) {
  Totals totals{};
  totals.answer_times.add(kAnswerTimes, 0);
  totals.answer_times.add(kAnswerTimes, 5);
  totals.answer_times.add(kAnswerTimes, 6);
  totals.answer_times.add(kAnswerTimes, 60'001);
  const std::string text = exposed(totals);
  assert_says(text, R"(entitle_reauth_seconds_bucket{le="0.005"} 2)");
  assert_says(text, R"(entitle_reauth_seconds_bucket{le="0.01"} 3)");
  assert_says(text, R"(entitle_reauth_seconds_bucket{le="10"} 3)");
  assert_says(text, R"(entitle_reauth_seconds_bucket{le="+Inf"} 4)");
  assert_says(text, "entitle_reauth_seconds_sum 60.012");
  assert_says(text, "entitle_reauth_seconds_count 4");
}

void labels_are_escaped(void**) {
  std::string text;
  Exposition out(text);
  out.gauge("x", "y").sample({{"prefix", "a\"b\\c\nd"}}, std::int64_t{1});
  assert_string_equal(text.c_str(),
                      "# HELP x y\n# TYPE x gauge\n"
                      "x{prefix=\"a\\\"b\\\\c\\nd\"} 1\n");
}

// --- by the hour -------------------------------------------------------------

Totals paid(std::uint64_t count) {
  Totals totals{};
  totals.decisions[static_cast<std::size_t>(Decision::pay)]
                  [static_cast<std::size_t>(Reason::ended)] = count;
  return totals;
}

std::string told(const Hours& hours, std::int64_t now, std::uint64_t count) {
  std::string text;
  for (const Hours::Hour& hour : hours.read(now, paid(count))) {
    text += std::to_string(hour.hour) + ':' +
            std::to_string(
                hour.decisions[static_cast<std::size_t>(Decision::pay)]) +
            ' ';
  }
  return text;
}

void an_hour_has_what_came_in_it(void**) {
  auto hours = std::make_unique<Hours>();
  assert_string_equal(told(*hours, 100, 3).c_str(), "100:3 ");
  hours->note(100, paid(3));
  hours->note(100, paid(5));
  assert_string_equal(told(*hours, 100, 6).c_str(), "100:6 ");
  assert_string_equal(told(*hours, 101, 7).c_str(), "101:2 100:5 ");
  hours->note(101, paid(7));
  hours->note(102, paid(7));  // nothing came
  hours->note(103, paid(20));
  assert_string_equal(told(*hours, 104, 20).c_str(), "103:13 101:2 100:5 ");
}

void what_is_older_than_two_days_is_nobody_s(void**) {
  auto hours = std::make_unique<Hours>();
  for (std::int64_t hour = 100; hour < 200; hour++) {
    hours->note(hour, paid(static_cast<std::uint64_t>(hour)));
  }
  const std::vector<Hours::Hour> read = hours->read(200, paid(201));
  assert_int_equal(read.front().hour, 200);
  assert_int_equal(
      read.front().decisions[static_cast<std::size_t>(Decision::pay)], 2);
  for (std::size_t i = 1; i < read.size(); i++) {
    assert_int_equal(read[i].decisions[static_cast<std::size_t>(Decision::pay)],
                     1);
  }
  assert_int_equal(read.size(), Hours::kHours - 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_summed_whoever_added_to_them),
      cmocka_unit_test(who_is_remembered_is_an_allow_and_a_hit),
      cmocka_unit_test(what_may_come_is_there_from_the_beginning),
      cmocka_unit_test(every_reason_goes_with_one_decision_or_with_an_allow),
      cmocka_unit_test(names_are_words_and_differ),
      cmocka_unit_test(a_time_is_in_every_bucket_that_it_fits),
      cmocka_unit_test(labels_are_escaped),
      cmocka_unit_test(an_hour_has_what_came_in_it),
      cmocka_unit_test(what_is_older_than_two_days_is_nobody_s),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
