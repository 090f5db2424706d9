#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/stripe/facts.h"

extern "C" {
#include <cmocka.h>
}

#include <string>

#include "core/base/types.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

using namespace entitle;
using test::item;
using test::Shape;
using test::Subscription;

namespace {

Subscription pro() { return {.items = {item("pro", 5000)}, .user = "42"}; }

Facts facts_of_event(std::string_view type, const Subscription& now,
                     const Subscription* before = nullptr,
                     Shape shape = Shape::basil) {
  return test::facts(
      test::subscription_event({"evt_1", 1000, shape}, type, now, before));
}

const Snapshot& snapshot(const Facts& facts) {
  return facts.places.back().sources.at("sub_1").snapshots.at(0);
}

void a_snapshot_says_everything_that_decides_access(void**) {
  Subscription sub = pro();
  sub.status = "trialing";
  sub.trial_end = 4000;
  sub.cancel_at = 6000;
  sub.cancel_at_period_end = true;
  sub.names = "extra";
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    Facts facts = facts_of_event("created", sub, nullptr, shape);
    const Snapshot& said = snapshot(facts);
    assert_int_equal(said.type, SnapshotType::created);
    assert_string_equal(said.state.status.c_str(), "trialing");
    assert_int_equal(to_unix(*said.state.period_end), 5000);
    assert_int_equal(to_unix(*said.state.trial_end), 4000);
    assert_int_equal(to_unix(*said.state.cancel_at), 6000);
    assert_true(said.state.cancel_at_period_end);
    assert_false(said.state.ended_at.has_value());
    assert_false(said.state.more_items);
    assert_string_equal(test::joined(said.state.identifiers).c_str(),
                        "lookup_key=pro_key metadata=extra price_pro prod_pro");
    assert_true(facts.identifiers == said.state.identifiers);
    const PlaceFacts& own = facts.places.back();
    assert_string_equal(own.place.c_str(), "cus_1");
    assert_int_equal(own.claims.at(0).kind, ClaimKind::subscription_metadata);
    assert_string_equal(own.claims.at(0).target.str().c_str(), "u:42");
  }
}

void the_greatest_period_end_counts_wherever_it_stands(void**) {
  Subscription sub = pro();
  sub.items.push_back(item("addon", 7000));
  assert_int_equal(
      to_unix(*snapshot(facts_of_event("updated", sub)).state.period_end),
      7000);
  // Both shapes at once, as accounts have sent them.
  std::string body = test::subscription_event({"evt_1", 1000}, "updated", sub);
  body.replace(body.find("\"customer\""), 10,
               "\"current_period_end\":9000,\"customer\"");
  assert_int_equal(to_unix(*snapshot(test::facts(body)).state.period_end),
                   9000);
}

void previous_attributes_are_read_in_both_shapes(void**) {
  Subscription before = pro(), now = pro();
  now.status = "past_due";
  now.items = {item("team", 8000)};
  now.cancel_at = 6000;
  before.trial_end = 900;
  before.names = "old";
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    Facts facts = facts_of_event("updated", now, &before, shape);
    const PreviousState& previous = snapshot(facts).previous;
    assert_string_equal(previous.status->c_str(), "active");
    assert_int_equal(to_unix(**previous.period_end), 5000);
    assert_int_equal(to_unix(**previous.trial_end), 900);
    assert_true(previous.cancel_at.has_value());
    assert_false(previous.cancel_at->has_value());  // there was none
    assert_false(previous.ended_at.has_value());    // did not change
    assert_false(previous.cancel_at_period_end.has_value());
    assert_string_equal(test::joined(*previous.identifiers).c_str(),
                        "lookup_key=pro_key price_pro prod_pro");
    assert_string_equal(test::joined(*previous.names).c_str(), "metadata=old");
  }
}

void a_pause_is_read_with_what_was_before(void**) {
  Subscription none = pro(), paused = pro(), later = pro();
  paused.pause_collection = later.pause_collection = "void";
  paused.resumes_at = 6000;
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    Facts began = facts_of_event("updated", paused, &none, shape);
    assert_string_equal(snapshot(began).state.pause_collection.c_str(), "void");
    assert_int_equal(to_unix(*snapshot(began).state.resumes_at), 6000);
    assert_true(snapshot(began).previous.pause_collection == std::string());
    assert_false(snapshot(began).previous.resumes_at->has_value());

    Facts put_off = facts_of_event("updated", later, &paused, shape);
    assert_false(snapshot(put_off).state.resumes_at.has_value());
    assert_false(snapshot(put_off).previous.pause_collection.has_value());
    assert_int_equal(to_unix(**snapshot(put_off).previous.resumes_at), 6000);

    Facts ended = facts_of_event("updated", none, &paused, shape);
    assert_true(snapshot(ended).state.pause_collection.empty());
    assert_true(snapshot(ended).previous.pause_collection == "void");
    assert_int_equal(to_unix(**snapshot(ended).previous.resumes_at), 6000);

    Facts unchanged = facts_of_event("updated", paused, &paused, shape);
    assert_false(snapshot(unchanged).previous.pause_collection.has_value());
    assert_false(snapshot(unchanged).previous.resumes_at.has_value());
  }
}

void only_an_update_has_a_before(void**) {
  Subscription before = pro(), now = pro();
  now.status = "past_due";
  Facts facts = facts_of_event("trial_will_end", now, &before);
  assert_true(snapshot(facts).previous == PreviousState{});
}

void kinds_of_snapshots(void**) {
  struct {
    const char* type;
    SnapshotType expected;
  } cases[] = {{"created", SnapshotType::created},
               {"updated", SnapshotType::updated},
               {"deleted", SnapshotType::deleted},
               {"paused", SnapshotType::notice},
               {"resumed", SnapshotType::notice},
               {"trial_will_end", SnapshotType::notice},
               {"pending_update_applied", SnapshotType::notice},
               {"pending_update_expired", SnapshotType::notice}};
  for (const auto& one : cases) {
    assert_int_equal(snapshot(facts_of_event(one.type, pro())).type,
                     one.expected);
  }
}

void turning_past_due_is_a_fact_of_its_own(void**) {
  auto entered = [](std::string_view type, const Subscription& now,
                    const Subscription* before) {
    return facts_of_event(type, now, before)
        .places.back()
        .sources.at("sub_1")
        .entered_past_due.has_value();
  };
  Subscription active = pro(), late = pro(), dunned = pro();
  late.status = dunned.status = "past_due";
  dunned.note = "third reminder";
  assert_true(entered("updated", late, &active));
  assert_true(entered("created", late, nullptr));
  assert_false(entered("updated", dunned, &late));
  assert_false(entered("updated", active, &late));
  assert_false(entered("trial_will_end", late, nullptr));
}

void the_end_names_no_purchase(void**) {
  Subscription over = pro();
  over.status = "canceled";
  over.ended_at = 1000;
  Facts facts = facts_of_event("deleted", over);
  assert_true(facts.identifiers.empty());
  assert_true(snapshot(facts).terminal());
}

void deleted_ends_even_without_a_status(void**) {
  std::string body =
      test::subscription_event({"evt_1", 1000}, "deleted", pro());
  body.replace(body.find("\"status\":\"active\""), 17, "\"status\":null");
  assert_true(snapshot(test::facts(body)).terminal());
}

void a_snapshot_without_status_still_says_whose_it_is(void**) {
  std::string body =
      test::subscription_event({"evt_1", 1000}, "updated", pro());
  body.replace(body.find("\"status\":\"active\""), 17, "\"status\":7");
  Facts facts = test::facts(body);
  assert_string_equal(snapshot(facts).state.status.c_str(), "unsaid");
  assert_int_equal(facts.places.back().claims.size(), 1);
  assert_true(facts.warns);
}

void a_cut_list_of_items_is_marked(void**) {
  Subscription sub = pro();
  sub.items.clear();
  for (int i = 0; i < 12; ++i) {
    sub.items.push_back(item("p" + std::to_string(i), 5000));
  }
  sub.has_more = true;
  Facts facts = facts_of_event("updated", sub);
  assert_true(snapshot(facts).state.more_items);
  assert_int_equal(snapshot(facts).state.identifiers.size(), 30);
}

void plans_of_old_stand_in_for_prices(void**) {
  std::string body =
      test::subscription_event({"evt_1", 1000}, "updated", pro());
  std::size_t at = body.find("\"price\":{");
  body.replace(at, 8, "\"price\":null,\"plan\":");
  assert_string_equal(
      test::joined(snapshot(test::facts(body)).state.identifiers).c_str(),
      "lookup_key=pro_key price_pro prod_pro");
}

void an_account_stands_in_for_a_customer(void**) {
  Facts facts =
      test::facts_of_fixture("edge/customer_account_instead_of_customer.json");
  assert_string_equal(facts.customer.c_str(), "acct_1Fx000000000CUST");
  assert_string_equal(facts.places.back().place.c_str(),
                      "acct_1Fx000000000CUST");
}

void without_id_or_customer_there_is_no_place(void**) {
  for (std::string gone : {"\"id\":\"sub_1\"", "\"customer\":\"cus_1\""}) {
    std::string body =
        test::subscription_event({"evt_1", 1000}, "updated", pro());
    body.replace(body.find(gone), gone.size(), "\"x\":1");
    Facts facts = test::facts(body);
    assert_true(facts.places.empty());
    assert_false(facts.note.empty());
  }
}

void times_out_of_range_are_not_said(void**) {
  for (const char* time : {"0", "-5", "1099511627776", "9223372036854775807",
                           "1.5", "\"5000\"", "true"}) {
    std::string body =
        test::subscription_event({"evt_1", 1000}, "updated", pro());
    body.replace(body.find("5000"), 4, time);
    assert_false(snapshot(test::facts(body)).state.period_end.has_value());
  }
}

void ids_of_a_connected_account_are_its_own(void**) {
  Facts facts = test::facts(test::subscription_event(
      {"evt_1", 1000, Shape::basil, true, "acct_9"}, "created", pro()));
  assert_string_equal(facts.places.back().place.c_str(), "acct_9/cus_1");
  assert_int_equal(facts.places.back().sources.count("acct_9/sub_1"), 1);
  assert_string_equal(
      test::joined(facts.identifiers).c_str(),
      "acct_9/lookup_key=pro_key acct_9/price_pro acct_9/prod_pro");
}

std::string with_quantity(std::string body, const char* quantity) {
  for (std::size_t at = 0;
       (at = body.find("\"price\":{", at)) != std::string::npos; at += 20) {
    body.insert(at, "\"quantity\":" + std::string(quantity) + ",");
  }
  return body;
}

void an_item_of_which_there_are_none_grants_nothing(void**) {
  Subscription before = pro(), now = pro();
  now.cancel_at_period_end = true;
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    std::string body = test::subscription_event({"evt_1", 1000, shape},
                                                "updated", now, &before);
    assert_true(snapshot(test::facts(with_quantity(body, "0")))
                    .state.identifiers.empty());
    for (const char* some : {"1", "40", "null"}) {
      assert_string_equal(
          test::joined(snapshot(test::facts(with_quantity(body, some)))
                           .state.identifiers)
              .c_str(),
          "lookup_key=pro_key price_pro prod_pro");
    }
  }
}

// Stripe says no quantity of those; should one be said, it counts.
void a_metered_item_without_a_quantity_grants(void**) {
  for (Shape shape : {Shape::before_basil, Shape::basil}) {
    std::string body =
        test::subscription_event({"evt_1", 1000, shape}, "updated", pro());
    const std::string price = "\"price\":{";
    body.insert(body.find(price) + price.size(),
                R"("recurring":{"usage_type":"metered"},)");
    assert_string_equal(
        test::joined(snapshot(test::facts(body)).state.identifiers).c_str(),
        "lookup_key=pro_key price_pro prod_pro");
    assert_true(snapshot(test::facts(with_quantity(body, "0")))
                    .state.identifiers.empty());
  }
}

// From none to one: what was there before is nothing.
void previous_items_of_which_there_were_none_are_no_identifiers(void**) {
  Subscription before = pro(), now = pro();
  before.items[0].period_end = 4000;
  std::string body =
      test::subscription_event({"evt_1", 1000}, "updated", now, &before);
  std::size_t at = body.find("previous_attributes");
  body = body.substr(0, at) + with_quantity(body.substr(at), "0");
  const PreviousState previous = snapshot(test::facts(body)).previous;
  assert_true(previous.identifiers.has_value());
  assert_true(previous.identifiers->empty());
}

void prices_of_old_accounts_are_known_by_their_own_ids(void**) {
  Subscription sub = pro();
  sub.items[0] = {"monthly8usd", "prod_1", "", 5000};
  sub.items.push_back({"plan_Fx1", "prod_2", "", 5000});
  assert_string_equal(
      test::joined(snapshot(facts_of_event("created", sub)).state.identifiers)
          .c_str(),
      "plan_Fx1 price=monthly8usd prod_1 prod_2");
}

void a_subscriptions_metadata_says_what_it_is(void**) {
  Subscription sub = pro();
  sub.note = "gold";
  assert_string_equal(
      test::joined(snapshot(facts_of_event("created", sub)).state.identifiers)
          .c_str(),
      "lookup_key=pro_key metadata.note=gold price_pro prod_pro");
}

void what_a_tag_was_before_is_kept(void**) {
  Subscription before = pro(), now = pro();
  now.note = "gold";
  auto tags = [&] {
    const Snapshot said = snapshot(facts_of_event("updated", now, &before));
    std::string text;
    for (const std::string& tag : said.previous.tags) text += tag + ";";
    return text;
  };
  assert_string_equal(tags().c_str(), "note;");
  before.note = "silver";
  assert_string_equal(tags().c_str(), "note=silver;");
  before.note = std::string(137, 'x');  // could be none
  assert_string_equal(tags().c_str(), "note;");
  before = now;
  before.user = "7";
  assert_string_equal(tags().c_str(), "");
}

void a_price_keeps_its_lookup_key(void**) {
  Subscription before = pro(), now = pro();
  now.items = {item("gold", 5000), {"price_bare", "prod_1", "", 5000}};
  Facts facts = facts_of_event("updated", now, &before);
  const Source& source = facts.places.back().sources.at("sub_1");
  std::string text;
  for (const KeyFact& fact : source.keys) {
    text += fact.price + " " + fact.name + " " +
            std::to_string(to_unix(fact.created)) + ";";
  }
  assert_string_equal(text.c_str(),
                      "price_pro lookup_key=pro_key 1000;"
                      "price_gold lookup_key=gold_key 1000;");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_subscriptions_metadata_says_what_it_is),
      cmocka_unit_test(what_a_tag_was_before_is_kept),
      cmocka_unit_test(a_price_keeps_its_lookup_key),
      cmocka_unit_test(an_item_of_which_there_are_none_grants_nothing),
      cmocka_unit_test(a_metered_item_without_a_quantity_grants),
      cmocka_unit_test(
          previous_items_of_which_there_were_none_are_no_identifiers),
      cmocka_unit_test(prices_of_old_accounts_are_known_by_their_own_ids),
      cmocka_unit_test(a_snapshot_says_everything_that_decides_access),
      cmocka_unit_test(the_greatest_period_end_counts_wherever_it_stands),
      cmocka_unit_test(previous_attributes_are_read_in_both_shapes),
      cmocka_unit_test(a_pause_is_read_with_what_was_before),
      cmocka_unit_test(only_an_update_has_a_before),
      cmocka_unit_test(kinds_of_snapshots),
      cmocka_unit_test(turning_past_due_is_a_fact_of_its_own),
      cmocka_unit_test(the_end_names_no_purchase),
      cmocka_unit_test(deleted_ends_even_without_a_status),
      cmocka_unit_test(a_snapshot_without_status_still_says_whose_it_is),
      cmocka_unit_test(a_cut_list_of_items_is_marked),
      cmocka_unit_test(plans_of_old_stand_in_for_prices),
      cmocka_unit_test(an_account_stands_in_for_a_customer),
      cmocka_unit_test(without_id_or_customer_there_is_no_place),
      cmocka_unit_test(times_out_of_range_are_not_said),
      cmocka_unit_test(ids_of_a_connected_account_are_its_own),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
