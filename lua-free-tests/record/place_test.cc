#include "core/record/place.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/writes.h"
#include "core/record/keys.h"
#include "core/source/claim.h"
#include "core/source/said_email.h"
#include "core/source/source.h"
#include "lua-free-tests/support/deliveries.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

Place claimed(const std::vector<Claim>& claims) {
  Place place;
  for (const Claim& claim : claims) place.add(claim);
  return place;
}

void assert_owner(const std::vector<Claim>& claims, const char* owner) {
  assert_string_equal(
      claimed(claims).owner().value_or(Target("nobody")).str().c_str(), owner);
}

void nobody_owns_what_nobody_claims(void**) { assert_owner({}, "nobody"); }

void newest_explicit_claim_wins(void**) {
  assert_owner({user_claim("evt_1", 1, "alice"), user_claim("evt_2", 2, "bob"),
                user_claim("evt_0", 0, "carol")},
               "u:bob");
}

void explicit_claims_are_alike_whatever_they_come_from(void**) {
  assert_owner(
      {user_claim("evt_1", 1, "alice", ClaimKind::client_reference),
       user_claim("evt_2", 2, "bob", ClaimKind::subscription_metadata)},
      "u:bob");
  assert_owner({user_claim("evt_1", 3, "alice", ClaimKind::session_metadata),
                user_claim("evt_2", 2, "bob", ClaimKind::client_reference)},
               "u:alice");
}

// What nothing names: the customer's metadata, the newest claim of any source,
// e-mail.
void trust_comes_before_time(void**) {
  Claim email = user_claim("evt_9", 9, "mallory", ClaimKind::email);
  Claim customer =
      user_claim("evt_1", 1, "carol", ClaimKind::customer_metadata);
  Claim of_a_source = about("sub_1", user_claim("evt_5", 5, "alice"));
  assert_owner({email}, "u:mallory");
  assert_owner({email, of_a_source}, "u:alice");
  assert_owner({email, of_a_source, customer}, "u:carol");
}

void assert_owns(const Place& place, const char* source, const char* owner) {
  assert_string_equal(
      place.owners().of(source).value_or(Target("nobody")).str().c_str(),
      owner);
}

void source_is_whose_it_is_named(void**) {
  Place place = claimed({about("sub_1", user_claim("evt_1", 1, "alice")),
                         about("sub_2", user_claim("evt_2", 2, "bob"))});
  assert_owns(place, "sub_1", "u:alice");
  assert_owns(place, "sub_2", "u:bob");
  assert_owns(place, "sub_3", "u:bob");
  place.add(user_claim("evt_0", 0, "carol", ClaimKind::customer_metadata));
  assert_owns(place, "sub_1", "u:alice");
  assert_owns(place, "sub_3", "u:carol");
  place.add(about("sub_1", user_claim("evt_3", 3, "dora")));
  assert_owns(place, "sub_1", "u:dora");
  place.add(about("sub_1", user_claim("evt_2", 2, "eve")));
  assert_owns(place, "sub_1", "u:dora");
  assert_owns(place, "sub_2", "u:bob");
}

void kinds_of_naming_a_source_are_alike(void**) {
  Place place =
      claimed({about("sub_1", user_claim("evt_1", 1, "alice")),
               about("sub_1", user_claim("evt_2", 2, "bob",
                                         ClaimKind::subscription_metadata))});
  assert_owns(place, "sub_1", "u:bob");
}

void naming_is_the_same_in_any_order(void**) {
  std::vector<Claim> claims;
  for (int i = 0; i < 600; i++) {
    std::string n = std::to_string(i);
    claims.push_back(
        about("sub_" + std::to_string(i * 7 % 200),
              user_claim("evt_" + n, i / 3, "u" + std::to_string(i * 5 % 11))));
  }
  Place expected = claimed(claims);
  assert_int_equal(expected.naming.size(), 200);
  for (const auto& [source, of] : expected.naming) {
    assert_int_equal(of.size(), kMaxUsersOfSource);
  }
  assert_int_equal(expected.claims.size(), Place::kMaxClaims);
  std::mt19937 random(2);
  for (int run = 0; run < 50; run++) {
    std::shuffle(claims.begin(), claims.end(), random);
    Place place = claimed(claims);
    for (std::size_t i = 0; i < 60; i++) place.add(claims[i]);
    assert_true(place.naming == expected.naming);
    assert_true(place.claims == expected.claims);
    assert_true(place.owners() == expected.owners());
  }
}

Claim part(const char* source, const char* whole, std::int64_t said = 5) {
  return part_of(source, whole, unix_time(said), "evt_" + std::to_string(said));
}

void a_payment_and_what_it_paid_have_one_owner(void**) {
  Place place =
      claimed({user_claim("evt_0", 0, "carol", ClaimKind::customer_metadata),
               about("in_1", user_claim("evt_1", 1, "alice"))});
  assert_owns(place, "pi_1", "u:carol");
  place.add(part("pi_1", "in_1"));
  assert_owns(place, "pi_1", "u:alice");
  assert_owns(place, "in_1", "u:alice");
  // The newest word on either is one on both, and on all payments of it.
  place.add(about("pi_1", user_claim("evt_2", 2, "bob")));
  place.add(part("ch_2", "in_1"));
  for (const char* one : {"pi_1", "in_1", "ch_2"}) {
    assert_owns(place, one, "u:bob");
  }
  assert_owns(place, "pi_3", "u:carol");
  // What something is part of names nobody.
  assert_owner({part("pi_1", "in_1")}, "nobody");
  assert_int_equal(place.claims.size(), 3);
}

void an_invoice_follows_its_subscription_and_not_the_other_way_round(void**) {
  Place place =
      claimed({user_claim("evt_0", 0, "carol", ClaimKind::customer_metadata),
               about("sub_1", user_claim("evt_1", 1, "alice")),
               part("pi_1", "in_1"), part("in_1", "sub_1")});
  assert_owns(place, "in_1", "u:alice");
  assert_owns(place, "pi_1", "u:alice");
  place.add(about("pi_1", user_claim("evt_2", 2, "bob")));
  assert_owns(place, "in_1", "u:bob");
  assert_owns(place, "pi_1", "u:bob");
  assert_owns(place, "sub_1", "u:alice");
  place.add(about("sub_1", user_claim("evt_3", 3, "dora")));
  assert_owns(place, "in_1", "u:bob");
  assert_owns(place, "sub_1", "u:dora");
}

void what_is_one_purchase_is_one_in_any_order(void**) {
  std::mt19937 random(3);
  for (int run = 0; run < 200; run++) {
    std::vector<Claim> claims{
        user_claim("evt_0", 0, "carol", ClaimKind::customer_metadata)};
    for (int i = 0; i < 12; i++) {
      std::string n = std::to_string(random() % 3);
      std::string kind = std::array{"pi_", "in_", "sub_"}[random() % 3];
      claims.push_back(
          about(kind + n, user_claim("evt_" + std::to_string(i), i,
                                     "u" + std::to_string(random() % 4))));
      std::string invoice = "in_" + std::to_string(random() % 3);
      claims.push_back(part(("pi_" + n).c_str(), invoice.c_str(), i));
      if (i % 4 == 0) claims.push_back(part(invoice.c_str(), "sub_1", i));
    }
    Place expected = claimed(claims);
    for (const auto& [source, of] : expected.naming) {
      for (const Claim& claim : of) {
        if (claim.kind != ClaimKind::part_of || source[0] != 'p') continue;
        assert_true(expected.owners().of(source) ==
                    expected.owners().of(claim.target.place()));
      }
    }
    for (int times = 0; times < 5; times++) {
      std::shuffle(claims.begin(), claims.end(), random);
      Place place = claimed(claims);
      for (std::size_t i = 0; i < 9; i++) place.add(claims[i]);
      assert_true(place.naming == expected.naming);
      assert_true(place.owners() == expected.owners());
      std::vector<Command> commands =
          place_commands(Keys("entitle:", Mode::live), "cus_1", Place(), place);
      Reply hash{Reply::Type::array, 0, "", {}};
      for (std::size_t i = 2; i < commands.at(0).size(); i++) {
        hash.elements.push_back(
            Reply{Reply::Type::string, 0, commands[0][i], {}});
      }
      std::optional<Place> read = Place::decode(hash);
      assert_true(read.has_value());
      assert_true(read->owners() == expected.owners());
    }
  }
}

// Of so many that no more have room.
Place crowded() {
  Place place;
  const std::string long_name(250, 'x');
  int i = 0;
  for (; place.waiting.empty(); i++) {
    assert_in_range(i, 0, 10000);
    std::string n = std::to_string(i);
    place.add(about("sub_" + n, user_claim("evt_" + n, i, long_name)));
  }
  assert_in_range(i, 3000, 10000);
  return place;
}

// What is paid does not change hands because others pay, too.
void nobody_gives_up_a_source_for_another(void**) {
  Place place = crowded();
  place.add(user_claim("evt_c", 1, "carol", ClaimKind::customer_metadata));
  const std::string first = place.owners().of("sub_0")->str();
  place.add(about("sub_new", user_claim("evt_new", 20000, "bob")));
  assert_owns(place, "sub_0", first.c_str());
  assert_owns(place, "sub_new", "nobody");
  assert_owns(place, "sub_unnamed", "u:carol");
  assert_true(place.has(about("sub_new", user_claim("evt_new", 20000, "bob"))));
  // Who is there may still be named anew.
  place.add(about("sub_0", user_claim("evt_later", 20001, "dora")));
  assert_owns(place, "sub_0", "u:dora");
}

void what_waits_is_named_once_there_is_room(void**) {
  Place place = crowded();
  place.add(about("sub_new", user_claim("evt_new", 20000, "bob")));
  place.make_use_of_room();
  assert_owns(place, "sub_new", "nobody");
  for (int i = 0; i < 4; i++) place.naming.erase("sub_" + std::to_string(i));
  place.make_use_of_room();
  assert_owns(place, "sub_new", "u:bob");
  assert_true(place.waiting.empty());
}

void newest_email_counts(void**) {
  auto said = [](std::int64_t at, const char* text) {
    return SaidEmail{unix_time(at), "evt_" + std::to_string(at), text};
  };
  Place place;
  place.take(said(2, "b@example.com"));
  place.take(said(1, "a@example.com"));
  place.take(std::nullopt);
  assert_string_equal(place.email->text.c_str(), "b@example.com");
  place.take(said(5, "b@example.com"));
  place.take(said(4, "c@example.com"));
  assert_string_equal(place.email->text.c_str(), "b@example.com");
}

void event_id_breaks_ties(void**) {
  assert_owner({user_claim("evt_b", 1, "bob"), user_claim("evt_a", 1, "alice")},
               "u:bob");
}

void part_goes_where_the_whole_goes(void**) {
  Place place = claimed({user_claim("evt_1", 1, "alice"),
                         forward_claim("evt_2", 2, "cs_1"),
                         forward_claim("evt_3", 3, "cus_1")});
  assert_string_equal(place.owner()->str().c_str(), "p:cus_1");
  assert_int_equal(place.forwards().size(), 2);
  assert_int_equal(place.user_claims().size(), 1);
}

void repeated_relation_writes_nothing(void**) {
  Place place = claimed({forward_claim("evt_1", 1, "cus_1")});
  std::vector<Claim> before = place.claims;
  place.add(forward_claim("evt_2", 2, "cus_1"));
  assert_true(place.claims == before);
  place.add(forward_claim("evt_0", 0, "cus_1"));
  assert_string_equal(place.claims[0].event.c_str(), "evt_0");
}

void repeated_claim_counts_by_when_it_was_last_said(void**) {
  Place place =
      claimed({user_claim("evt_1", 1, "alice"), user_claim("evt_2", 2, "bob")});
  place.add(user_claim("evt_3", 3, "alice"));
  place.add(user_claim("evt_1", 1, "alice"));
  assert_int_equal(place.claims.size(), 2);
  assert_string_equal(place.owner()->str().c_str(), "u:alice");
}

void claims_are_bounded_and_any_order_ends_the_same(void**) {
  std::vector<Claim> claims;
  const ClaimKind kinds[] = {ClaimKind::email, ClaimKind::customer_metadata,
                             ClaimKind::client_reference};
  for (int i = 0; i < 40; i++) {
    std::string n = std::to_string(i);
    claims.push_back(user_claim("evt_" + n, i / 3, "u" + std::to_string(i % 13),
                                kinds[i % 3]));
    claims.push_back(
        forward_claim("evt_" + n, i, "cs_" + std::to_string(i % 11)));
  }
  Place expected = claimed(claims);
  assert_int_equal(expected.user_claims().size(), Place::kMaxClaims);
  assert_int_equal(expected.forwards().size(), Place::kMaxClaims);
  std::mt19937 random(1);
  for (int run = 0; run < 500; run++) {
    std::shuffle(claims.begin(), claims.end(), random);
    Place place = claimed(claims);
    for (std::size_t i = 0; i < 20; i++) place.add(claims[i]);
    assert_true(place.claims == expected.claims);
  }
}

void relations_only_lead_upwards(void**) {
  assert_true(may_forward("ch_1", "pi_1"));
  assert_true(may_forward("py_1", "pi_1"));
  assert_true(may_forward("pi_1", "cs_1"));
  assert_true(may_forward("pi_1", "in_1"));
  assert_true(may_forward("in_1", "cs_1"));
  assert_true(may_forward("in_1", "cus_1"));
  assert_false(may_forward("in_1", "pi_1"));
  assert_true(may_forward("cs_1", "cus_1"));
  assert_true(may_forward("pi_1", "customer-of-2012"));
  assert_true(may_forward("acct_9", "cus_1"));
  assert_true(may_forward("cs_1", "acct_9"));
  assert_true(may_forward("acct_1/acct_9", "acct_1/cus_1"));
  assert_false(may_forward("cus_1", "acct_9"));
  assert_false(may_forward("acct_9", "acct_8"));
  assert_true(may_forward("acct_1/pi_1", "acct_1/cus_1"));
  assert_false(may_forward("pi_1", "ch_1"));
  assert_false(may_forward("pi_1", "pi_2"));
  assert_false(may_forward("cus_1", "cus_2"));
  assert_false(may_forward("acct_1/pi_1", "acct_2/cus_1"));
  assert_false(may_forward("pi_1", "acct_1/cus_1"));
  assert_true(is_customer("acct_1/cus_1"));
  assert_true(is_customer("customer-of-2012"));
  assert_true(is_customer("acct_1/acct_9"));
  assert_false(is_customer("acct_1/cs_1"));
  assert_false(is_customer("in_1"));
}

void settled_means_nothing_waits_and_one_holds(void**) {
  Place place = claimed({user_claim("evt_1", 1, "alice")});
  assert_false(place.settled());
  place.to = Target("u:alice");
  place.holders = {Target("u:alice")};
  assert_true(place.settled());
  place.holders.insert(Target("u:bob"));
  assert_false(place.settled());
  place.holders.erase(Target("u:bob"));
  place.sources["cs_1"] = Source();
  assert_false(place.settled());
  place.sources.clear();
  place.add(about("cs_2", user_claim("evt_0", 0, "bob")));
  assert_false(place.settled());
  place.holders.insert(Target("u:bob"));
  assert_false(place.settled());
  place.owned["cs_2"] = Target("u:bob");
  assert_true(place.settled());
  place.waiting["cs_3"] = {about("cs_3", user_claim("evt_0", 0, "carol"))};
  place.sources["cs_3"] = Source();
  assert_true(place.settled());
  place.add(user_claim("evt_2", 2, "bob"));
  assert_false(place.settled());

  Place part = claimed({forward_claim("evt_1", 1, "cus_1")});
  part.to = Target("p:cus_1");
  assert_true(part.settled());
  part.holders = {Target("u:alice")};
  assert_false(part.settled());
}

// A hash as HGETALL would give it back after these commands.
Reply stored(const std::vector<Command>& commands) {
  Reply reply;
  reply.type = Reply::Type::array;
  for (const Command& command : commands) {
    if (command[0] != "HSET") continue;
    for (std::size_t i = 2; i < command.size(); i++) {
      reply.elements.push_back({Reply::Type::string, 0, command[i], {}});
    }
  }
  return reply;
}

void place_reads_what_it_writes(void**) {
  Place place = claimed({user_claim("evt_1", 1, "J\xc3\xbcrgen \"{}%\\"),
                         user_claim("evt_2", 2, "bob", ClaimKind::email),
                         about("acct_1/sub_1", user_claim("evt_4", 4, "eve")),
                         forward_claim("evt_3", 3, "acct_1/cus_1")});
  place.owned["acct_1/sub_1"] = Target("u:J\xc3\xbcrgen \"{}%\\");
  place.email = SaidEmail{unix_time(5), "evt_5", "a\"b@example.com"};
  place.epoch = 7;
  place.holders = {Target("u:a"), Target("u:J\xc3\xbcrgen \"{}%\\")};
  place.to = Target("p:acct_1/cus_1");
  place.sources = purchase("evt_1", "cs_1", "cs_1").facts.places[0].sources;
  place.passed_on = purchase("evt_2", "cs_1", "cs_2").facts.places[0].sources;
  Keys keys("entitle:", Mode::live);
  Reply hash = stored(place_commands(keys, "cs_1", Place(), place));
  std::optional<Place> read = Place::decode(hash);
  assert_true(read.has_value());
  assert_true(read->exists);
  assert_true(read->claims == place.claims);
  assert_true(read->naming == place.naming);
  assert_true(read->owned == place.owned);
  assert_true(read->email == place.email);
  assert_int_equal(read->epoch, 7);
  assert_true(read->holders == place.holders);
  assert_true(read->to == place.to);
  assert_true(read->sources == place.sources);
  assert_true(read->passed_on == place.passed_on);
  assert_true(place_commands(keys, "cs_1", *read, *read).empty());
}

void damaged_place_is_unreadable(void**) {
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"epoch", "x"},
      {"to", "alice"},
      {"to", "u:"},
      {"to", "u:%0a"},
      {"holders", "{}"},
      {"claims", "[{}]"},
      {"claims", R"([{"at":1,"event":"e","to":"u:a"}])"},
      {"claims", R"([{"by":"email","at":"1","event":"e","to":"u:a"}])"},
      {"claims", R"([{"by":"email","at":1,"event":"e","to":"p:cus_1"}])"},
      {"claims", R"([{"by":"forward","at":1,"event":"e","to":"u:a"}])"},
      {"claims:sub_1", "[]"},
      {"claims:sub_1", "nonsense"},
      {"claims:sub_1",
       R"([{"by":"forward","at":1,"event":"e","to":"p:cus_1"}])"},
      {"owner:sub_1", "alice"},
      {"email", "a@example.com"},
      {"email", R"({"is":"a@example.com"})"},
      {"source:cs_1", "nonsense"},
      {"passed_on:cs_1", "nonsense"},
  };
  for (const auto& [field, text] : damages) {
    Reply hash = stored({{"HSET", "key", field, text}});
    assert_false(Place::decode(hash).has_value());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(nobody_owns_what_nobody_claims),
      cmocka_unit_test(newest_explicit_claim_wins),
      cmocka_unit_test(explicit_claims_are_alike_whatever_they_come_from),
      cmocka_unit_test(trust_comes_before_time),
      cmocka_unit_test(source_is_whose_it_is_named),
      cmocka_unit_test(kinds_of_naming_a_source_are_alike),
      cmocka_unit_test(naming_is_the_same_in_any_order),
      cmocka_unit_test(a_payment_and_what_it_paid_have_one_owner),
      cmocka_unit_test(
          an_invoice_follows_its_subscription_and_not_the_other_way_round),
      cmocka_unit_test(what_is_one_purchase_is_one_in_any_order),
      cmocka_unit_test(nobody_gives_up_a_source_for_another),
      cmocka_unit_test(what_waits_is_named_once_there_is_room),
      cmocka_unit_test(newest_email_counts),
      cmocka_unit_test(event_id_breaks_ties),
      cmocka_unit_test(part_goes_where_the_whole_goes),
      cmocka_unit_test(repeated_relation_writes_nothing),
      cmocka_unit_test(repeated_claim_counts_by_when_it_was_last_said),
      cmocka_unit_test(claims_are_bounded_and_any_order_ends_the_same),
      cmocka_unit_test(relations_only_lead_upwards),
      cmocka_unit_test(settled_means_nothing_waits_and_one_holds),
      cmocka_unit_test(place_reads_what_it_writes),
      cmocka_unit_test(damaged_place_is_unreadable),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
