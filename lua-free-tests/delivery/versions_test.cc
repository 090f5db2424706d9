// Nodes of two versions side by side: what a later version wrote into records
// and places is still there after events went through this one, and decides
// nothing here; and what this version wrote it finds as it left it.
//
// ENTITLE_SEED=n begins there.
#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/delivery/delivery.h"
#include "core/delivery/outcome.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/claim.h"
#include "core/source/said_email.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/jansson_oracle.h"
#include "lua-free-tests/support/lifecycle.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/stripe_event.h"
#include "lua-free-tests/support/stripe_json.h"

// After the standard headers: it defines fail().
extern "C" {
#include <cmocka.h>
}

using namespace entitle;
using test::by_jansson;
using test::Jansson;
using test::MemoryRedis;

namespace {

const std::string kAlice = "entitle:live:{u:alice}";
const std::string kBob = "entitle:live:{u:bob}";
const std::string kCustomer = "entitle:live:{p:cus_1}";

DeliveryResult tell(MemoryRedis& redis, const std::string& body) {
  Event event = test::event(body);
  DeliveryOptions options = test::options();
  options.now = event.head.created;
  return test::run(redis, deliver(facts_of(event, test::default_options()),
                                  event.head, options));
}

// Whether `big` says all that `small` says: members by name, elements of lists
// in any order.
bool has_all(json_t* big, json_t* small) {
  if (json_is_object(small)) {
    const char* name = nullptr;
    json_t* value = nullptr;
    json_object_foreach(small, name, value) {
      json_t* other = json_object_get(big, name);
      if (other == nullptr || !has_all(other, value)) return false;
    }
    return json_is_object(big);
  }
  if (json_is_array(small)) {
    std::size_t n = 0;
    json_t* value = nullptr;
    json_array_foreach(small, n, value) {
      bool found = false;
      for (std::size_t k = 0; k < json_array_size(big); ++k) {
        found = found || has_all(json_array_get(big, k), value);
      }
      if (!found) return false;
    }
    return json_is_array(big);
  }
  return json_equal(big, small) != 0;
}

void assert_has_all(const MemoryRedis& redis, const std::string& key,
                    const std::string& name, const std::string& json) {
  std::string now = redis.field(key, name).value_or("");
  Jansson big = by_jansson(now), small = by_jansson(json);
  assert_true(small != nullptr);
  if (!big || !has_all(big.get(), small.get())) {
    fail_msg("%s of %s is %s, without all of %s", name.c_str(), key.c_str(),
             now.c_str(), json.c_str());
  }
}

void assert_field(const MemoryRedis& redis, const std::string& key,
                  const std::string& name, const std::string& expected) {
  std::string now = redis.field(key, name).value_or("(none)");
  if (now != expected) {
    fail_msg("%s of %s is %s", name.c_str(), key.c_str(), now.c_str());
  }
}

// --- a record and a place of version 9 ---------------------------------------

const std::string kSource =
    R"({"format":3,"place":"cus_1","snapshots":[{"event":"evt_1",)"
    R"("type":"suspended","created":1000,"status":"active","period_end":90000,)"
    R"("identifiers":["plan=old one","price_pro"],"paused":{"until":7},)"
    R"("previous":{"status":"paused","mood":"b"}}],)"
    R"("credits":[{"event":"evt_2","n":5},{"event":"evt_1","n":7}],)"
    R"("hold":{"event":"evt_7","created":900}})";
const std::string kClaims =
    R"([{"by":"court","at":900,"event":"op_1","to":"u:alice","rank":9,)"
    R"("who":"ann"},{"by":"client_reference","at":1000,"event":"evt_1",)"
    R"("to":"u:bob","said":800},{"by":"tenant","at":1,"event":"evt_0",)"
    R"("to":"t:acme"}])";
const std::string kHolders = R"(["u:alice",{"tenant":"acme"}])";

void write_as_version_9(MemoryRedis& redis) {
  redis.run({"HSET", kAlice, "version", "5", "format", "9", "source:sub_1",
             kSource, "place:cus_1", "3 live since 800", "budget", "12"});
  redis.run({"HSET", kCustomer, "format", "9", "claims", kClaims, "epoch", "3",
             "holders", kHolders, "to", "u:alice", "tenant:sub_1", "t:acme"});
}

void assert_nothing_lost(const MemoryRedis& redis, const std::string& owner) {
  assert_has_all(redis, owner, "source:sub_1", kSource);
  assert_field(redis, kAlice, "budget", "12");
  assert_field(redis, kAlice, "format", "9");
  assert_has_all(redis, kCustomer, "claims", kClaims);
  assert_has_all(redis, kCustomer, "holders", R"([{"tenant":"acme"}])");
  assert_field(redis, kCustomer, "tenant:sub_1", "t:acme");
  assert_field(redis, kCustomer, "format", "9");
}

std::string renewal(std::string event, test::Time at, std::string user = "") {
  test::Subscription sub{.items = {test::item("pro", 99000)}};
  sub.user = std::move(user);
  return test::subscription_event({std::move(event), at}, "updated", sub);
}

void what_a_later_version_wrote_survives_an_event_here(void**) {
  MemoryRedis redis;
  write_as_version_9(redis);
  DeliveryResult result = tell(redis, renewal("evt_8", 2000));
  // A court's word counts above the claims that are known here.
  assert_string_equal(result.user->str().c_str(), "alice");
  assert_string_equal(std::string(name(result.outcome)).c_str(), "applied");
  assert_nothing_lost(redis, kAlice);
  assert_has_all(redis, kAlice, "source:sub_1",
                 R"({"snapshots":[{"event":"evt_8"},{"event":"evt_1"}]})");
  assert_field(redis, kAlice, "place:cus_1", "3 live since 800");
  result = tell(redis, renewal("evt_8", 2000));
  assert_string_equal(std::string(name(result.outcome)).c_str(), "duplicate");
}

void it_survives_a_new_claim_of_the_customer(void**) {
  MemoryRedis redis;
  write_as_version_9(redis);
  tell(redis, renewal("evt_8", 2000, "bob"));
  assert_nothing_lost(redis, kAlice);
}

void it_moves_with_its_source(void**) {
  MemoryRedis redis;
  write_as_version_9(redis);
  redis.run({"HSET", kCustomer, "claims",
             R"([{"by":"email","at":1,"event":"evt_1","to":"u:alice"}])"});
  tell(redis, renewal("evt_8", 2000, "bob"));
  assert_has_all(redis, kBob, "source:sub_1", kSource);
  assert_field(redis, kAlice, "place:cus_1", "4 gone since 800");
  assert_has_all(redis, kCustomer, "holders", R"(["u:bob",{"tenant":"acme"}])");
}

void it_survives_waiting_for_an_owner(void**) {
  MemoryRedis redis;
  redis.run({"HSET", kCustomer, "source:sub_1", kSource, "format", "9"});
  tell(redis, renewal("evt_8", 2000));
  assert_has_all(redis, kCustomer, "source:sub_1", kSource);
  tell(redis, renewal("evt_9", 2001, "bob"));
  assert_has_all(redis, kBob, "source:sub_1", kSource);
  assert_field(redis, kCustomer, "format", "9");
}

// That a customer was deleted every owner's record says. What a later version
// wrote into one of those copies is of the customer, so it goes where that is,
// and nobody has contradicted anybody.
void what_it_wrote_into_a_copy_is_kept_and_is_no_conflict(void**) {
  MemoryRedis redis;
  tell(redis, test::customer_event({"evt_1", 1000}, "created", "cus_1", "bob"));
  test::Subscription sub{.items = {test::item("pro", 99000)}};
  sub.user = "alice";
  tell(redis, test::subscription_event({"evt_s1", 1001}, "created", sub));
  tell(redis, test::customer_event({"evt_2", 1002}, "deleted", "cus_1", ""));
  std::string copy = redis.field(kAlice, "source:cus_1").value();
  redis.run({"HSET", kAlice, "source:cus_1",
             copy.insert(1, R"("credits":[{"event":"evt_9","n":5}],)")});
  sub.id = "sub_2";
  tell(redis, test::subscription_event({"evt_s2", 1003}, "created", sub));
  assert_has_all(redis, kAlice, "source:cus_1",
                 R"({"deleted":{"event":"evt_2"}})");
  assert_has_all(redis, kBob, "source:cus_1",
                 R"({"credits":[{"event":"evt_9","n":5}]})");
  assert_field(redis, "entitle:live:webhook", "conflicts", "(none)");
  for (const std::string& log : {kAlice + ":log", kBob + ":log"}) {
    const auto& lines = std::get<MemoryRedis::List>(*redis.find(log));
    for (const std::string& line : lines) {
      assert_true(line.find("\"moved\"") == std::string::npos);
    }
  }
}

void a_claim_of_an_unknown_kind_without_a_rank_decides_nothing(void**) {
  MemoryRedis redis;
  redis.run({"HSET", kCustomer, "claims",
             R"([{"by":"tenant","at":9000,"event":"e","to":"u:carol"}])"});
  DeliveryResult result = tell(redis, renewal("evt_8", 2000));
  assert_false(result.user.has_value());
  result = tell(redis, renewal("evt_9", 2001, "bob"));
  assert_string_equal(result.user->str().c_str(), "bob");
  assert_has_all(redis, kCustomer, "claims",
                 R"([{"by":"tenant","to":"u:carol"}])");
}

void records_and_places_say_their_format(void**) {
  MemoryRedis redis;
  // As version 0.1.0 began: without a number.
  redis.run({"HSET", kAlice, "version", "5", "source:sub_1",
             R"({"place":"cus_1","snapshots":[{"event":"evt_1",)"
             R"("type":"updated","created":10,"status":"active"}]})",
             "place:cus_1", "1 live"});
  redis.run({"HSET", kCustomer, "claims",
             R"([{"by":"client_reference","at":1000,"event":"evt_1",)"
             R"("to":"u:alice"}])",
             "epoch", "1", "holders", R"(["u:alice"])", "to", "u:alice"});
  tell(redis, renewal("evt_8", 2000));
  assert_field(redis, kAlice, "format", "2");
  tell(redis, renewal("evt_9", 2000, "bob"));
  assert_field(redis, kBob, "format", "2");
  assert_field(redis, kCustomer, "format", "2");
}

// --- a later version that touches everything, now and then -------------------

// Every object in `value`, with what it is in: "snapshots evt_1", ...
void each_object(json_t* value, const std::string& path,
                 const std::function<void(json_t*, const std::string&)>& see) {
  const char* name = nullptr;
  json_t* child = nullptr;
  std::size_t n = 0;
  if (json_is_object(value)) {
    const char* event = json_string_value(json_object_get(value, "event"));
    std::string here = path + ' ' + (event == nullptr ? "" : event);
    json_object_foreach(value, name, child) {
      each_object(child, here + ' ' + name, see);
    }
    see(value, here);
  }
  json_array_foreach(value, n, child) { each_object(child, path, see); }
}

bool is_of_place(const std::string& field) {
  return field == "claims" || field.starts_with("claims:") || field == "email";
}

bool is_json(const std::string& field) {
  return is_of_place(field) || field.starts_with("source:") ||
         field.starts_with("passed_on:");
}

using Marks = std::map<std::string, std::set<std::string>>;  // by key and path

void each_json(MemoryRedis& redis,
               const std::function<bool(json_t*, const std::string&)>& edit) {
  for (const std::string& key : redis.keys()) {
    const auto* hash = std::get_if<MemoryRedis::Hash>(redis.find(key));
    if (hash == nullptr) continue;
    const MemoryRedis::Hash fields = *hash;
    for (const auto& [field, text] : fields) {
      if (!is_json(field)) continue;
      Jansson json = by_jansson(text);
      if (!json)
        fail_msg("%s of %s: %s", field.c_str(), key.c_str(), text.c_str());
      // A source may move to another record with all that it has.
      if (!edit(json.get(), is_of_place(field) ? key + field : field)) continue;
      char* written = json_dumps(json.get(), JSON_INDENT(1));
      redis.run({"HSET", key, field, written});
      std::free(written);
    }
  }
}

// A later version adds a member of its own to each object there is.
void add_members(MemoryRedis& redis, Marks& marks) {
  each_json(redis, [&](json_t* json, const std::string& where) {
    each_object(json, "", [&](json_t* object, const std::string& path) {
      json_object_set_new(object, "later",
                          json_pack("{s[is]}", "a", 1, path.c_str()));
      marks[where].insert(path);
    });
    return true;
  });
}

// Takes those members out again; says where they were.
Marks strip_members(MemoryRedis& redis) {
  Marks marks;
  each_json(redis, [&](json_t* json, const std::string& where) {
    each_object(json, "", [&](json_t* object, const std::string& path) {
      if (json_object_del(object, "later") == 0) marks[where].insert(path);
    });
    return true;
  });
  return marks;
}

// What is gone from `plain` was forgotten by its age, with whatever a later
// version said of it; told again it is a new fact.
void forget_marks(MemoryRedis& plain, Marks& marks) {
  Marks there;
  each_json(plain, [&](json_t* json, const std::string& where) {
    each_object(json, "", [&](json_t*, const std::string& path) {
      there[where].insert(path);
    });
    return false;
  });
  for (auto& [where, paths] : marks) {
    const std::set<std::string>& here = there[where];
    std::erase_if(
        paths, [&](const std::string& path) { return !here.contains(path); });
  }
}

// As decoded: the bytes differ in white space once jansson wrote them.
std::set<std::string> state_of(const MemoryRedis& redis) {
  std::set<std::string> state;
  for (const std::string& key : redis.keys()) {
    const auto* hash = std::get_if<MemoryRedis::Hash>(redis.find(key));
    if (hash == nullptr) continue;
    for (const auto& [field, value] : *hash) {
      if (field == "updated") continue;
      std::string shown = value;
      if (field == "email") {
        shown = SaidEmail::decode(value)->encode();
      } else if (is_of_place(field)) {
        shown = encode_claims(*decode_claims(value));
      } else if (is_json(field)) {
        shown = Source::decode(value)->encode();
      }
      state.insert(key + ' ' + field + ' ' + shown);
    }
  }
  return state;
}

void assert_same_state(const MemoryRedis& redis, const MemoryRedis& expected) {
  std::set<std::string> ours = state_of(redis), theirs = state_of(expected);
  for (const std::string& one : ours) {
    if (!theirs.contains(one)) fail_msg("not expected: %s", one.c_str());
  }
  assert_int_equal(ours.size(), theirs.size());
}

void a_version_that_adds_members_everywhere_finds_them_and_changes_nothing(
    void**) {
  const char* said = std::getenv("ENTITLE_SEED");
  std::uint64_t seed = said == nullptr ? 77 : std::strtoull(said, nullptr, 10);
  for (int life = 0; life < 6; ++life, ++seed) {
    std::mt19937_64 random(seed);
    MemoryRedis plain, mixed;
    std::size_t checked = 0;
    std::vector<test::Said> all = test::make_lifecycle(seed, 40).said;
    std::shuffle(all.begin(), all.end(), random);
    Marks marks;
    for (const test::Said& one : all) {
      tell(plain, one.body);
      tell(mixed, one.body);
      forget_marks(plain, marks);
      if (random() % 3 == 0) add_members(mixed, marks);
    }
    add_members(mixed, marks);
    for (const test::Said& one : all) {  // duplicates
      tell(plain, one.body);
      tell(mixed, one.body);
      forget_marks(plain, marks);
    }
    Marks kept = strip_members(mixed);
    // Whatever of it is still there has what was added to it.
    each_json(mixed, [&](json_t* json, const std::string& where) {
      each_object(json, "", [&](json_t*, const std::string& path) {
        if (!marks[where].contains(path)) return;
        ++checked;
        if (kept[where].contains(path)) return;
        fail_msg("seed %llu: %s%s lost a member",
                 static_cast<unsigned long long>(seed), where.c_str(),
                 path.c_str());
      });
      return false;
    });
    assert_true(checked > 20);
    assert_same_state(mixed, plain);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_a_later_version_wrote_survives_an_event_here),
      cmocka_unit_test(it_survives_a_new_claim_of_the_customer),
      cmocka_unit_test(it_moves_with_its_source),
      cmocka_unit_test(it_survives_waiting_for_an_owner),
      cmocka_unit_test(what_it_wrote_into_a_copy_is_kept_and_is_no_conflict),
      cmocka_unit_test(
          a_claim_of_an_unknown_kind_without_a_rank_decides_nothing),
      cmocka_unit_test(records_and_places_say_their_format),
      cmocka_unit_test(
          a_version_that_adds_members_everywhere_finds_them_and_changes_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
