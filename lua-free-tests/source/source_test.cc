#include "core/source/source.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <random>
#include <string>

#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "core/source/resolve.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Subscription;

namespace {

std::string id_of(int n) { return "evt_" + std::to_string(n); }

std::string updated(int event, test::Time created, std::string status,
                    const Subscription* before = nullptr) {
  Subscription sub{.items = {item("pro", 5000)}};
  sub.status = std::move(status);
  return test::subscription_event({id_of(event), created}, "updated", sub,
                                  before);
}

std::vector<std::string> events_of(const BoundedSet<Snapshot>& snapshots) {
  std::vector<std::string> events;
  for (const Snapshot& one : snapshots) events.push_back(one.event);
  return events;
}

void the_eight_greatest_snapshots_stay(void**) {
  std::vector<std::string> bodies;
  for (int n = 10; n < 30; ++n) bodies.push_back(updated(n, n, "active"));
  Sources forward = test::sources_of(bodies);
  std::reverse(bodies.begin(), bodies.end());
  assert_true(forward == test::sources_of(bodies));
  std::vector<std::string> expected;
  for (int n = 29; n > 21; --n) expected.push_back(id_of(n));
  assert_true(events_of(forward.at("sub_1").snapshots) == expected);
}

void a_terminal_snapshot_is_never_pushed_out(void**) {
  std::vector<std::string> bodies = {updated(10, 10, "canceled")};
  for (int n = 11; n < 40; ++n) bodies.push_back(updated(n, n, "active"));
  Sources all = test::sources_of(bodies);
  assert_string_equal(all.at("sub_1").snapshots[0].event.c_str(), "evt_10");
}

void a_duplicate_changes_nothing(void**) {
  Sources all = test::sources_of({updated(10, 10, "active")});
  Sources again = test::sources_of({updated(10, 10, "active")});
  assert_false(merge(all, again));
  assert_true(all == again);
  assert_true(all.at("sub_1").has_event("evt_10"));
  assert_false(all.at("sub_1").has_event("evt_11"));
}

void one_event_rendered_twice_is_one_fact(void**) {
  // Two endpoints of different API versions got the same event.
  Subscription before{.items = {item("pro", 5000)}};
  std::string a = updated(10, 10, "active");
  std::string b = updated(10, 10, "active", &before);
  std::string c = updated(10, 10, "past_due");
  Sources abc = test::sources_of({a, b, c});
  assert_int_equal(abc.at("sub_1").snapshots.size(), 1);
  assert_true(abc == test::sources_of({c, b, a}));
  assert_true(abc == test::sources_of({b, a, c, b, a}));
}

void the_newest_invoice_stays_however_late_an_old_one_is_paid(void**) {
  auto invoice = [](std::string event, test::Time created, test::Time issued,
                    test::Time end) {
    return test::invoice_event(
        {event, created}, "paid",
        {.id = "in_" + event, .items = {item("pro", end)}, .issued = issued});
  };
  std::string january = invoice("evt_1", 4000, 1000, 2000);  // paid late
  std::string february = invoice("evt_2", 2001, 2000, 3000);
  for (Sources all : {test::sources_of({january, february}),
                      test::sources_of({february, january})}) {
    assert_int_equal(to_unix(all.at("sub_1").invoices.at(0).period_end), 3000);
  }
}

void invoice_twins_settle_on_one_event(void**) {
  test::Invoice invoice{.items = {item("pro", 5000)}, .issued = 900};
  std::string paid = test::invoice_event({"evt_1", 1000}, "paid", invoice);
  std::string twin =
      test::invoice_event({"evt_2", 1000}, "payment_succeeded", invoice);
  assert_true(test::sources_of({paid, twin}) ==
              test::sources_of({twin, paid, twin}));
  assert_string_equal(
      test::sources_of({twin, paid}).at("sub_1").invoices.at(0).event.c_str(),
      "evt_2");
}

std::string session(std::string event, test::Time created, std::string status) {
  return test::session_event({event, created}, "completed",
                             {.payment_status = status});
}

SessionFact session_fact(std::string event, test::Time created, bool paid,
                         const std::vector<std::string>& identifiers) {
  SessionFact fact;
  fact.event = std::move(event);
  fact.created = unix_time(created);
  fact.paid = paid;
  for (const std::string& identifier : identifiers) {
    fact.identifiers.push_back(*Identifier::parse(identifier));
  }
  return fact;
}

Source source_of(std::vector<SessionFact> facts) {
  Source source;
  for (SessionFact& fact : facts) {
    Source one;
    one.sessions.insert(std::move(fact));
    source.merge(one);
  }
  return source;
}

// Stripe was asked when the event came, and again when it came again.
void what_one_event_made_known_is_never_unsaid(void**) {
  std::vector<SessionFact> facts = {
      session_fact("evt_1", 5, true, {}),
      session_fact("evt_1", 5, true, {"metadata.plan=x", "price_a"}),
      session_fact("evt_1", 5, true, {"metadata.plan=x", "price_b"})};
  facts[2].other_mode = "loan";
  std::sort(facts.begin(), facts.end());
  const Source all = source_of(facts);
  do {
    assert_true(source_of(facts) == all);
  } while (std::next_permutation(facts.begin(), facts.end()));
  assert_int_equal(all.sessions.size(), 1);
  assert_string_equal(test::joined(all.sessions[0].identifiers).c_str(),
                      "metadata.plan=x price_a price_b");
  assert_string_equal(all.sessions[0].other_mode.c_str(), "loan");
}

// Four are kept, and those that alone say what was bought.
void events_that_say_nothing_push_none_out_that_does(void**) {
  std::vector<SessionFact> facts = {
      session_fact("evt_1", 1, false, {"price_a"}),
      session_fact("evt_2", 2, true, {"price_a", "price_b"}),
      session_fact("evt_3", 3, true, {"metadata.plan=x"}),
      session_fact("evt_4", 4, true, {}),
      session_fact("evt_5", 5, true, {}),
      session_fact("evt_6", 6, true, {"price_c"}),
      session_fact("evt_7", 7, true, {})};
  const Source all = source_of(facts);
  do {
    assert_true(source_of(facts) == all);
  } while (std::next_permutation(
      facts.begin(), facts.end(),
      [](const auto& a, const auto& b) { return a.event < b.event; }));
  assert_int_equal(all.sessions.size(), 5);
  assert_string_equal(all.sessions.back().event.c_str(), "evt_2");
}

// Four are kept, and what alone says by which payment an invoice was paid.
void payments_of_one_invoice_push_none_of_them_out(void**) {
  std::vector<SessionFact> facts;
  for (int n = 1; n <= 7; ++n) {
    const std::string number = std::to_string(n);
    facts.push_back(session_fact("evt_" + number, n, n >= 6, {}));
    facts.back().payment_intent = "pi_" + std::to_string(std::min(n, 5));
  }
  facts.back().amount = 500;
  const Source all = source_of(facts);
  do {
    assert_true(source_of(facts) == all);
  } while (std::next_permutation(
      facts.begin(), facts.end(),
      [](const auto& a, const auto& b) { return a.event < b.event; }));
  assert_int_equal(all.sessions.size(), 7);
  std::optional<Source> read = Source::decode(all.encode());
  assert_true(read == all);
  assert_int_equal(read->sessions.front().amount, 500);

  facts.clear();
  for (int n = 100; n < 160; ++n) {
    const std::string number = std::to_string(n);
    facts.push_back(session_fact("evt_" + number, n, false, {}));
    facts.back().payment_intent = "pi_" + number;
  }
  assert_int_equal(source_of(facts).sessions.size(), SessionFact::kPayments);
}

void paid_is_never_undone_by_a_late_unpaid(void**) {
  std::string unpaid = session("evt_9", 2000, "unpaid");
  std::string paid = session("evt_1", 1000, "paid");
  for (Sources all :
       {test::sources_of({unpaid, paid}), test::sources_of({paid, unpaid})}) {
    assert_true(all.at("cs_1").sessions.front().paid);
    assert_int_equal(all.at("cs_1").sessions.size(), 2);
  }
}

void a_refund_keeps_its_newest_word(void**) {
  auto refund = [](std::string event, test::Time at, std::string status) {
    return test::refund_event({event, at}, "refund.updated", {}, "re_1",
                              status);
  };
  Sources all = test::sources_of({refund("evt_3", 30, "failed"),
                                  refund("evt_1", 10, "pending"),
                                  refund("evt_2", 20, "succeeded")});
  assert_int_equal(all.at("pi_1").refunds.size(), 1);
  assert_true(all.at("pi_1").refunds[0].returned);
  // Inside one second failed is the end.
  all = test::sources_of(
      {refund("evt_8", 40, "failed"), refund("evt_9", 40, "succeeded")});
  assert_true(all.at("pi_1").refunds[0].returned);
}

void a_dispute_of_one_second_keeps_its_end(void**) {
  auto dispute = [](std::string event, std::string status) {
    return test::dispute_event({event, 40}, "updated", {}, "du_1", status);
  };
  auto kept = [&](std::string a, std::string b) {
    Sources all = test::sources_of({dispute("evt_8", a), dispute("evt_9", b)});
    return all.at("pi_1").disputes.at(0).status;
  };
  assert_string_equal(kept("won", "under_review").c_str(), "won");
  assert_string_equal(kept("needs_response", "lost").c_str(), "lost");
  assert_string_equal(kept("lost", "won").c_str(), "lost");
  assert_string_equal(kept("needs_response", "warning_under_review").c_str(),
                      "needs_response");
}

void the_customers_place_is_kept(void**) {
  // A refund without customer and one with: the same source.
  std::string bare =
      test::refund_event({"evt_1", 1}, "refund.created", {}, "re_1", "pending");
  std::string named =
      test::charge_refunded_event({"evt_2", 2}, {.customer = "cus_1"}, true);
  for (Sources all :
       {test::sources_of({bare, named}), test::sources_of({named, bare})}) {
    assert_string_equal(all.at("pi_1").place.c_str(), "cus_1");
  }
}

std::string summary(int event, test::Time created,
                    std::vector<std::string> features, bool has_more) {
  return test::summary_event({id_of(event), created}, "cus_1", features,
                             has_more);
}

void incomplete_summaries_lose_no_feature(void**) {
  // Twelve features, of which each summary lists two: more than are recent.
  std::vector<std::string> bodies = {summary(10, 10, {"base"}, false)};
  for (int n = 11; n < 60; ++n) {
    std::string one = "f" + std::to_string(n % 12);
    std::string two = "f" + std::to_string((n + 1) % 12);
    bodies.push_back(summary(n, n, {one, two}, true));
  }
  Sources forward = test::sources_of(bodies);
  std::reverse(bodies.begin(), bodies.end());
  Sources backward = test::sources_of(bodies);
  assert_true(forward == backward);
  const Source& source = forward.at("cus_1");
  assert_true(source.summaries.size() <= 8 + 13);
  assert_int_equal(resolve_features(source)->identifiers.size(), 13);
}

void a_complete_summary_forgets_the_old_ones(void**) {
  std::vector<std::string> bodies;
  for (int n = 10; n < 40; ++n) {
    bodies.push_back(summary(n, n, {"f" + std::to_string(n)}, true));
  }
  bodies.push_back(summary(99, 99, {"only"}, false));
  std::reverse(bodies.begin(), bodies.end());
  const Source source = test::sources_of(bodies).at("cus_1");
  assert_int_equal(source.summaries.size(), SummaryFact::kRecent);
  assert_string_equal(
      test::joined(resolve_features(source)->identifiers).c_str(),
      "feature=only");
}

void every_fixture_survives_storage(void**) {
  std::size_t seen = 0;
  for (const std::string& name : test::fixture_names()) {
    Sources all = test::sources(test::facts_of_fixture(name));
    assert_true(test::stored(all) == all);
    seen += all.size();
  }
  assert_true(seen > 80);
}

void equal_sources_are_equal_bytes(void**) {
  Subscription a{.items = {item("a", 5000), item("b", 4000)}, .names = "x"};
  Subscription b = a;
  b.status = "past_due";
  b.cancel_at_period_end = true;
  b.items.pop_back();
  std::vector<std::string> bodies = {
      test::subscription_event({"evt_1", 1}, "created", a),
      test::subscription_event({"evt_2", 2}, "updated", b, &a),
      test::subscription_event({"evt_3", 3}, "updated", a, &b),
      test::invoice_event({"evt_4", 3}, "paid", {.items = a.items})};
  std::string expected = test::sources_of(bodies).at("sub_1").encode();
  do {
    Sources all = test::sources_of(bodies);
    assert_string_equal(all.at("sub_1").encode().c_str(), expected.c_str());
    assert_true(test::stored(all) == all);
  } while (std::next_permutation(bodies.begin(), bodies.end()));
}

void the_format_is_the_documented_one(void**) {
  Subscription before{.items = {item("pro", 5000)}};
  Subscription now = before;
  now.status = "past_due";
  now.cancel_at = 6000;
  Sources all = test::sources_of(
      {test::subscription_event({"evt_2", 20}, "updated", now, &before),
       test::subscription_event({"evt_1", 10}, "created", before),
       test::invoice_event({"evt_3", 30}, "paid",
                           {.items = {item("pro", 5000)}, .issued = 25})});
  assert_string_equal(
      all.at("sub_1").encode().c_str(),
      R"({"place":"cus_1","snapshots":[{"event":"evt_2","type":"updated",)"
      R"("created":20,"status":"past_due","period_end":5000,"cancel_at":6000,)"
      R"("identifiers":["lookup_key=pro_key","price_pro","prod_pro"],)"
      R"("previous":{"status":"active","cancel_at":null}},)"
      R"({"event":"evt_1","type":"created","created":10,"status":"active",)"
      R"("period_end":5000}],"past_due":{"event":"evt_2","created":20},)"
      R"("invoice":{"event":"evt_3","created":30,"issued":25,"id":"in_1",)"
      R"("period_end":5000,"identifiers":["price_pro","prod_pro"]},)"
      R"("keys":[{"event":"evt_2","created":20,"price":"price_pro",)"
      R"("key":"lookup_key=pro_key"}]})");
}

void a_pause_is_written_with_what_was_before(void**) {
  Subscription before{.items = {item("pro", 5000)}};
  Subscription now = before;
  now.pause_collection = "void";
  now.resumes_at = 6000;
  Sources all = test::sources_of(
      {test::subscription_event({"evt_2", 20}, "updated", now, &before)});
  std::string text = all.at("sub_1").encode();
  assert_true(text.find(R"(,"pause_collection":"void","resumes_at":6000,)"
                        R"("previous":{"pause_collection":"",)"
                        R"("resumes_at":null}})") != std::string::npos);
  assert_true(test::stored(all) == all);
}

void items_are_written_where_there_are_several(void**) {
  Subscription before{.items = {item("a", 5000), item("b", 9000)}};
  Subscription now = before;
  now.items[0].period_end = 6000;
  test::Invoice invoice{.items = {item("a", 30), item("b", 9000)},
                        .issued = 30,
                        .billing_reason = "subscription_cycle",
                        .period_start = 20,
                        .period_end = 30,
                        .has_more = true};
  invoice.items[0].period_start = 20;
  invoice.prorations = {item("z", 9000)};
  invoice.prorations[0].period_start = 25;
  Sources all = test::sources_of(
      {test::subscription_event({"evt_2", 20}, "updated", now, &before),
       test::invoice_event({"evt_3", 30}, "paid", invoice)});
  invoice.id = "in_2";
  invoice.has_more = false;
  merge(all, test::sources_of(
                 {test::invoice_event({"evt_4", 29}, "paid", invoice)}));
  assert_string_equal(
      all.at("sub_1").encode().c_str(),
      R"({"place":"cus_1","snapshots":[{"event":"evt_2","type":"updated",)"
      R"("created":20,"status":"active","period_end":9000,"identifiers":)"
      R"(["lookup_key=a_key","lookup_key=b_key","price_a","price_b","prod_a",)"
      R"("prod_b"],"items":[{"period_end":6000,"identifiers":[0,2,4]},)"
      R"({"period_end":9000,"identifiers":[1,3,5]}],"previous":)"
      R"({"period_end":9000,"identifiers":["lookup_key=a_key",)"
      R"("lookup_key=b_key","price_a","price_b","prod_a","prod_b"],)"
      R"("items":[{"period_end":5000,"identifiers":[0,2,4]},)"
      R"({"period_end":9000,"identifiers":[1,3,5]}]}}],)"
      R"("invoice":{"event":"evt_3","created":30,"id":"in_1",)"
      R"("period_end":9000,"identifiers":["price_a","price_b","prod_a",)"
      R"("prod_b"],"items":[{"period_end":40,"identifiers":[0,2],)"
      R"("arrears":true},{"period_end":9000,"identifiers":[1,3]}]},)"
      R"("invoices":[{"event":"evt_3","created":30,"id":"in_1",)"
      R"("period_end":9000,"identifiers":["price_a","price_b","prod_a",)"
      R"("prod_b"],"items":[{"period_end":40,"identifiers":[0,2],)"
      R"("arrears":true},{"period_end":9000,"identifiers":[1,3]}]},)"
      R"({"event":"evt_4","created":29,"issued":30,"id":"in_2",)"
      R"("period_end":9000,"identifiers":["price_a","price_b","prod_a",)"
      R"("prod_b"],"items":[{"period_end":40,"identifiers":[0,2],)"
      R"("arrears":true},{"period_end":9000,"identifiers":[1,3]}],)"
      R"("returned":[{"price":"price_z","at":25}]}],)"
      R"("renewals":[{"event":"evt_3","created":30,"id":"in_1","from":30,)"
      R"("until":40}],)"
      R"("keys":[{"event":"evt_2","created":20,"price":"price_b",)"
      R"("key":"lookup_key=b_key"},{"event":"evt_2","created":20,)"
      R"("price":"price_a","key":"lookup_key=a_key"}]})");
  assert_true(test::stored(all) == all);
}

void the_one_invoice_of_earlier_records_is_read(void**) {
  std::optional<Source> source =
      Source::decode(R"({"invoice":{"event":"evt_3","created":30,"id":"in_1",)"
                     R"("period_end":5000,"identifiers":["price_pro"]}})");
  assert_true(source.has_value());
  assert_int_equal(to_unix(source->invoices.at(0).period_end), 5000);
}

void an_invoice_stays_as_long_as_it_is_the_newest_of_a_price(void**) {
  std::vector<std::string> bodies;
  auto add = [&](std::string id, test::Time at, std::vector<test::Item> items) {
    bodies.push_back(test::invoice_event(
        {"evt_" + id, at}, "paid",
        {.id = "in_" + id, .items = std::move(items), .issued = at}));
  };
  add("year", 10, {item("base", 9000), item("addon", 100)});
  for (int n = 1; n < 12; ++n) {
    add("month" + std::to_string(n), 100 * n, {item("addon", 100 * n + 100)});
  }
  Sources forward = test::sources_of(bodies);
  std::reverse(bodies.begin(), bodies.end());
  assert_true(forward == test::sources_of(bodies));
  const BoundedSet<PaidInvoice>& kept = forward.at("sub_1").invoices;
  assert_int_equal(kept.size(), 2);
  assert_string_equal(kept[0].invoice.c_str(), "in_month11");
  assert_string_equal(kept[1].invoice.c_str(), "in_year");
}

void grants_are_stored_with_and_without_an_end(void**) {
  Source grant;
  grant.granted = Granted{kForever, {*Identifier::parse("metadata=pro")}};
  assert_string_equal(grant.encode().c_str(),
                      R"({"granted":{"identifiers":["metadata=pro"]}})");
  assert_true(*Source::decode(grant.encode()) == grant);
  grant.granted->until = unix_time(77);
  assert_true(*Source::decode(grant.encode()) == grant);
}

void strings_come_back_as_they_were(void**) {
  Source source;
  source.place = "cus_\"\\ \x01\x1f\xc3\xa4";
  assert_true(*Source::decode(source.encode()) == source);
}

void white_space_and_order_of_a_hand_edited_source_do_not_matter(void**) {
  std::optional<Source> source = Source::decode(
      " {\n \"snapshots\" : [ { \"status\":\"active\", \"created\": 5 ,"
      "\"event\":\"evt_1\",\"type\":\"updated\"},{\"status\":\"canceled\","
      "\"created\":3,\"event\":\"evt_0\",\"type\":\"updated\"} ],"
      "\"place\":\"cus_\\u0031\" }\n");
  assert_true(source.has_value());
  assert_string_equal(source->place.c_str(), "cus_1");
  assert_true(source->snapshots[0].terminal());  // in our order again
}

void what_is_damaged_is_not_read(void**) {
  for (const char* text :
       {"",
        "{",
        "[]",
        "null",
        "{}x",
        "{\"place\":7}",
        "{\"place\":\"a}",
        "{\"place\":\"a\",}",
        "{\"place\":\"\\ud800\"}",
        "{\"unknown\":}",
        "{\"unknown\":tru}",
        "{\"unknown\":01}",
        "{\"unknown\":[1,]}",
        "{\"place\":\"a\nb\"}",
        "{\"snapshots\":{}}",
        "{\"snapshots\":[{}]}",
        "{\"snapshots\":[{\"event\":\"e\",\"created\":1}]}",
        "{\"snapshots\":[{\"event\":\"e\",\"created\":0,\"status\":\"x\"}]}",
        "{\"snapshots\":[{\"event\":\"e\",\"created\":99999999999999,"
        "\"status\":\"x\"}]}",
        "{\"snapshots\":[{\"event\":\"e\",\"created\":1,\"status\":\"x\","
        "\"identifiers\":[\"\"]}]}",
        "{\"snapshots\":[{\"event\":\"e\",\"created\":1,\"status\":\"x\","
        "\"identifiers\":[7]}]}",
        "{\"deleted\":{}}",
        "{\"invoice\":{\"event\":\"e\"}}",
        "{\"invoice\":{\"event\":\"e\",\"created\":1}}",
        "{\"invoices\":[{\"event\":\"e\",\"created\":1,\"period_end\":1,"
        "\"returned\":[{\"price\":\"x\"}]}]}",
        "{\"renewals\":[{\"event\":\"e\",\"created\":1,\"from\":2,"
        "\"until\":2}]}",
        "{\"refunds\":[{\"event\":\"e\",\"created\":1,\"charge\":\"\"}]}",
        "{\"disputes\":[{\"event\":\"e\",\"created\":1,\"status\":\"x\"}]}",
        "{\"keys\":[{}]}",
        "{\"granted\":[]}"}) {
    if (Source::decode(text)) fail_msg("read %s", text);
  }
}

std::string written_again(std::string_view json) {
  std::optional<Source> source = Source::decode(json);
  if (!source) fail_msg("not read: %s", std::string(json).c_str());
  return source->encode();
}

void what_a_later_version_wrote_is_written_again(void**) {
  // Members unknown in a source and in each kind of fact, a type of snapshot, a
  // mode and identifiers unknown.
  const char* text =
      R"({"place":"cus_1","snapshots":[{"event":"evt_2","type":"suspended",)"
      R"("created":20,"status":"active","period_end":5000,)"
      R"("identifiers":["plan=x y","price_pro"],)"
      R"("previous":{"status":"paused","was":{"a":[1.50,-0,1e9]}},)"
      R"("pause":{"from":7,"why":"ä\"\\"},"until":[null,true]}],)"
      R"("past_due":{"event":"evt_2","created":20,"n":1},)"
      R"("invoice":{"event":"evt_3","created":30,"id":"in_1",)"
      R"("period_end":5000,"identifiers":["price_a","price_b"],)"
      R"("items":[{"period_end":4000,"identifiers":[0],"x":1},)"
      R"({"period_end":5000,"identifiers":[1]}],)"
      R"("returned":[{"price":"price_c","at":7,"x":1}],"lines":[{"a":1}]},)"
      R"("renewals":[{"event":"evt_4","created":3,"from":5,"until":9,"x":1}],)"
      R"("sessions":[{"event":"e","created":1,"mode":"setup","x":{}}],)"
      R"("refunds":[{"event":"e","created":1,"charge":"ch_1","x":false}],)"
      R"("disputes":[{"event":"e","created":1,"id":"du_1","status":"odd",)"
      R"("x":"y"}],"summaries":[{"event":"e","created":1,"x":0}],)"
      R"("deleted":{"event":"e","created":1,"x":""},)"
      R"("granted":{"identifiers":["metadata=a"],"by":"ops"},)"
      R"("credits":[{"id":"b"},{"id":"a"}],"revoked":{"created":5}})";
  assert_string_equal(written_again(text).c_str(), text);
}

void what_is_unknown_is_written_in_one_form(void**) {
  assert_string_equal(
      written_again(
          " { \"z\" : { \"b\" : [ 1 , \"\\u00e9\\ud83d\\ude00\\/\" ] ,"
          "\n\"a\":null } , \"place\":\"p\\u00e9\", \"trial\":null,"
          "\"snapshots\":null }")
          .c_str(),
      "{\"place\":\"p\u00e9\",\"trial\":null,"
      "\"z\":{\"a\":null,\"b\":[1,\"\u00e9\U0001f600/\"]}}");
}

void more_than_our_bounds_and_another_order_are_put_right(void**) {
  std::string snapshots;
  for (int n = 0; n < 12; ++n) {
    snapshots += snapshots.empty() ? "" : ",";
    snapshots += "{\"event\":\"e" + std::to_string(10 + n) +
                 "\",\"created\":1,\"status\":\"x\",\"identifiers\":"
                 "[\"prod_b\",\"prod_a\",\"prod_b\"]}";
  }
  std::optional<Source> source =
      Source::decode("{\"snapshots\":[" + snapshots + "]}");
  assert_true(source.has_value());
  assert_int_equal(source->snapshots.size(), Snapshot::kBound);
  assert_string_equal(source->snapshots.front().event.c_str(), "e21");
  assert_string_equal(
      test::joined(source->snapshots.front().state.identifiers).c_str(),
      "prod_a prod_b");
}

Source decoded(std::string_view json) {
  std::optional<Source> source = Source::decode(json);
  if (!source) fail_msg("not read: %s", std::string(json).c_str());
  return *std::move(source);
}

// Any way of merging these three is the same.
void assert_join(const std::string& a, const std::string& b,
                 const std::string& c, const std::string& expected) {
  std::vector<std::string> all = {a, b, c};
  std::sort(all.begin(), all.end());
  do {
    Source left = decoded(all[0]);
    left.merge(decoded(all[1]));
    left.merge(decoded(all[2]));
    Source right = decoded(all[1]);
    right.merge(decoded(all[2]));
    Source whole = decoded(all[0]);
    whole.merge(right);
    assert_string_equal(left.encode().c_str(), expected.c_str());
    assert_true(whole == left);
    assert_false(whole.merge(left));
    assert_true(decoded(left.encode()) == left);
  } while (std::next_permutation(all.begin(), all.end()));
}

void merging_unknown_members_loses_none(void**) {
  // Facts of a kind unknown: none is lost; of two that stand alone the newest.
  assert_join(R"({"credits":[{"id":"b"},{"id":"a"}]})",
              R"({"credits":[{"id":"c"}],"revoked":{"created":9,"by":"z"}})",
              R"({"revoked":{"created":10,"by":"a"},"note":"x"})",
              R"({"credits":[{"id":"c"},{"id":"b"},{"id":"a"}],"note":"x",)"
              R"("revoked":{"by":"a","created":10}})");
  // Of copies of one fact, what any of them says.
  assert_join(
      R"({"refunds":[{"event":"e","created":1,"charge":"ch_1","x":1}]})",
      R"({"refunds":[{"event":"e","created":1,"charge":"ch_1","y":[2]}]})",
      R"({"refunds":[{"event":"e","created":1,"charge":"ch_1","x":3}]})",
      R"({"refunds":[{"event":"e","created":1,"charge":"ch_1","x":3,)"
      R"("y":[2]}]})");
  // Of an older word on the same thing, nothing.
  assert_join(
      R"({"disputes":[{"event":"e","created":1,"id":"d","status":"a","x":1}]})",
      R"({"disputes":[{"event":"f","created":2,"id":"d","status":"b"}]})",
      R"({"disputes":[{"event":"f","created":2,"id":"d","status":"b","z":1}]})",
      R"({"disputes":[{"event":"f","created":2,"id":"d","status":"b",)"
      R"("z":1}]})");
}

void a_session_of_an_unknown_mode_opens_nothing(void**) {
  Sources sources;
  sources["cs_1"] = decoded(
      R"({"sessions":[{"event":"e","created":1,"mode":"loan","paid":true,)"
      R"("identifiers":["price_pro"]}]})");
  std::vector<Projection> projections = project(sources);
  assert_int_equal(projections.size(), 1);
  assert_true(projections[0].state == Projection::State::not_paid);
  assert_true(projections[0].unclear);  // somebody is told
}

void every_cut_of_a_source_is_refused(void**) {
  std::string text =
      test::sources_of({updated(1, 10, "active"), updated(2, 11, "past_due")})
          .at("sub_1")
          .encode();
  for (std::size_t n = 0; n < text.size(); ++n) {
    assert_false(
        Source::decode(std::string_view(text).substr(0, n)).has_value());
  }
}

template <class Fact>
Fact said_at(test::Time at) {
  Fact fact;
  fact.event = "evt_1";
  fact.created = unix_time(at);
  return fact;
}

void the_newest_fact_counts_of_whatever_kind(void**) {
  auto assert_newest = [](auto add) {
    Source source;
    source.refunds.insert(said_at<RefundFact>(500));
    source.disputes.insert(said_at<DisputeFact>(500));
    add(source);
    assert_int_equal(to_unix(source.newest()), 1000);
  };
  assert_newest([](Source& s) { s.snapshots.insert(said_at<Snapshot>(1000)); });
  assert_newest(
      [](Source& s) { s.sessions.insert(said_at<SessionFact>(1000)); });
  assert_newest([](Source& s) {
    s.refunds = {};
    s.refunds.insert(said_at<RefundFact>(1000));
  });
  assert_newest([](Source& s) {
    s.disputes = {};
    s.disputes.insert(said_at<DisputeFact>(1000));
  });
  assert_newest(
      [](Source& s) { s.summaries.insert(said_at<SummaryFact>(1000)); });
  assert_newest([](Source& s) {
    PaidInvoice invoice = said_at<PaidInvoice>(1000);
    invoice.identifiers = {*Identifier::parse("price_1")};
    s.invoices.insert(std::move(invoice));
  });
  assert_newest([](Source& s) { s.renewals.insert(said_at<Renewal>(1000)); });
  assert_newest(
      [](Source& s) { s.entered_past_due = said_at<PastDueFact>(1000); });
  assert_newest([](Source& s) { s.deleted = said_at<DeletedFact>(1000); });
}

void of_two_grants_of_one_id_the_longer_stays(void**) {
  auto granted = [](test::Time until, const char* name) {
    Sources all;
    all["grant:x"].granted =
        Granted{unix_time(until), {*Identifier::parse(name)}};
    return all;
  };
  const Sources shorter = granted(1000, "metadata=z");
  const Sources longer = granted(2000, "metadata=a");
  for (const auto& [first, second] :
       {std::pair(shorter, longer), std::pair(longer, shorter)}) {
    Sources all = first;
    bool changed = merge(all, second);
    assert_int_equal(changed, first == shorter);
    assert_true(all == longer);
  }
  // A grant joins a source that has said something else.
  Sources other;
  other["grant:x"].deleted = said_at<DeletedFact>(1);
  assert_true(merge(other, longer));
  assert_true(other.at("grant:x").granted == longer.at("grant:x").granted);
}

void lookup_keys_are_bounded_and_any_order_ends_the_same(void**) {
  std::vector<Source> facts;
  for (int n = 0; n < 120; ++n) {
    Source source;
    source.keys.insert({"evt_" + std::to_string(n % 7),
                        unix_time(1 + n * 7 % 50),
                        "price_" + std::to_string(n % 40),
                        "lookup_key=k" + std::to_string(n % 3)});
    facts.push_back(source);
  }
  std::mt19937 random(1);
  Source expected;
  for (const Source& fact : facts) expected.merge(fact);
  assert_int_equal(expected.keys.size(), KeyFact::kBound);
  for (int run = 0; run < 200; ++run) {
    std::shuffle(facts.begin(), facts.end(), random);
    Source all, some;
    for (std::size_t i = 0; i < facts.size(); ++i) {
      (i % 3 == 0 ? some : all).merge(facts[i]);
      if (i % 20 == 0) all.merge(some);
    }
    all.merge(some);
    assert_true(all == expected);
    assert_false(all.merge(some));
  }
  assert_true(*Source::decode(expected.encode()) == expected);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lookup_keys_are_bounded_and_any_order_ends_the_same),
      cmocka_unit_test(the_eight_greatest_snapshots_stay),
      cmocka_unit_test(a_terminal_snapshot_is_never_pushed_out),
      cmocka_unit_test(a_duplicate_changes_nothing),
      cmocka_unit_test(one_event_rendered_twice_is_one_fact),
      cmocka_unit_test(
          the_newest_invoice_stays_however_late_an_old_one_is_paid),
      cmocka_unit_test(invoice_twins_settle_on_one_event),
      cmocka_unit_test(an_invoice_stays_as_long_as_it_is_the_newest_of_a_price),
      cmocka_unit_test(a_pause_is_written_with_what_was_before),
      cmocka_unit_test(items_are_written_where_there_are_several),
      cmocka_unit_test(the_one_invoice_of_earlier_records_is_read),
      cmocka_unit_test(what_one_event_made_known_is_never_unsaid),
      cmocka_unit_test(events_that_say_nothing_push_none_out_that_does),
      cmocka_unit_test(payments_of_one_invoice_push_none_of_them_out),
      cmocka_unit_test(paid_is_never_undone_by_a_late_unpaid),
      cmocka_unit_test(the_newest_fact_counts_of_whatever_kind),
      cmocka_unit_test(of_two_grants_of_one_id_the_longer_stays),
      cmocka_unit_test(a_refund_keeps_its_newest_word),
      cmocka_unit_test(a_dispute_of_one_second_keeps_its_end),
      cmocka_unit_test(the_customers_place_is_kept),
      cmocka_unit_test(incomplete_summaries_lose_no_feature),
      cmocka_unit_test(a_complete_summary_forgets_the_old_ones),
      cmocka_unit_test(every_fixture_survives_storage),
      cmocka_unit_test(equal_sources_are_equal_bytes),
      cmocka_unit_test(the_format_is_the_documented_one),
      cmocka_unit_test(grants_are_stored_with_and_without_an_end),
      cmocka_unit_test(strings_come_back_as_they_were),
      cmocka_unit_test(
          white_space_and_order_of_a_hand_edited_source_do_not_matter),
      cmocka_unit_test(what_is_damaged_is_not_read),
      cmocka_unit_test(what_a_later_version_wrote_is_written_again),
      cmocka_unit_test(what_is_unknown_is_written_in_one_form),
      cmocka_unit_test(more_than_our_bounds_and_another_order_are_put_right),
      cmocka_unit_test(merging_unknown_members_loses_none),
      cmocka_unit_test(a_session_of_an_unknown_mode_opens_nothing),
      cmocka_unit_test(every_cut_of_a_source_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
