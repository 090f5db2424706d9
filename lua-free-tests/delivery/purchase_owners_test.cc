// A one-time purchase is its session, its payment and its charge: whoever it is
// that says whose one of them is says it of all, so that what is given back of
// the payment is given back of what was bought. The oracle is the contract: a
// session's word is about "that session, its subscription and its payment", an
// operator's counts before all, the customer's owner has what nothing names.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "core/delivery/link.h"

extern "C" {
#include <cmocka.h>
}

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/stripe_json.h"
#include "lua-free-tests/support/told.h"

using namespace entitle;
using test::at;
using test::kShapes;
using test::MemoryRedis;
using test::Shape;
using test::Told;

namespace {

const GrantMap& grants() {
  static const GrantMap map = [] {
    GrantMap made;
    made.add("course", *Identifier::parse("plink_1"));
    made.add("other", *Identifier::parse("plink_2"));
    made.add("tagged", *Identifier::parse("metadata.note=tagged"));
    return made;
  }();
  return map;
}

// A step is the body of an event or, of an operator, "link WHAT USER".
const std::string kLink = "link ";

void step(MemoryRedis& redis, const std::string& place,
          const std::string& said) {
  DeliveryResult result;
  if (said.starts_with(kLink)) {
    const std::size_t space = said.find(' ', kLink.size());
    const std::string what = said.substr(kLink.size(), space - kLink.size());
    result = test::run(
        redis, link_to_user(place, {what}, *User::from(said.substr(space + 1)),
                            OperatorsWord{"olga", ""}, test::options()));
  } else {
    result = test::tell(redis, grants(), said);
  }
  assert_string_equal(result.error.c_str(), "");
}

std::string open_to(MemoryRedis& redis, const std::string& user) {
  auto record =
      Record::decode(redis.run({"HGETALL", "entitle:live:{u:" + user + "}"}));
  assert_true(record.has_value());
  std::string text;
  for (const Entitlement& one : entitlements(project(record->sources), grants(),
                                             {}, unix_time(test::kNow))) {
    text += text.empty() ? "" : " ";
    text += one.name;
  }
  return text;
}

using Ends = std::vector<std::pair<std::string, std::string>>;

// Each order of `told`, and all of it once more, ends so.
void assert_always(const Told& told, const std::string& place,
                   const Ends& ends) {
  test::in_any_order(told, [&](const Told& steps) {
    MemoryRedis redis;
    for (int times = 0; times < 2; ++times) {
      for (const std::string& said : steps) step(redis, place, said);
      for (const auto& [user, open] : ends) {
        assert_string_equal(open_to(redis, user).c_str(), open.c_str());
      }
    }
  });
}

std::string session(Shape shape, const std::string& customer,
                    const std::string& user) {
  return test::session_event(at("session", 1, shape), "completed",
                             {.customer = customer,
                              .payment_intent = "pi_1",
                              .payment_link = "plink_1",
                              .client_reference_id = user});
}

enum class Back { charge, dispute, lost };
constexpr std::array kBack = {Back::charge, Back::dispute, Back::lost};

// A dispute does not name the customer.
std::string back(Shape shape, Back how, const std::string& customer) {
  const test::Payment payment{.customer = customer};
  switch (how) {
    case Back::charge:
      return test::charge_refunded_event(at("back", 3, shape), payment, true);
    case Back::dispute:
      return test::dispute_event(at("back", 3, shape), "created", {}, "du_1",
                                 "needs_response");
    case Back::lost:
      return test::dispute_event(at("back", 3, shape), "closed", {}, "du_1",
                                 "lost");
  }
  return {};
}

// Whoever is named by session or customer, mia has what an operator says is
// hers, and nobody has what was given back.
void an_operators_word_on_any_of_it_is_one_on_all(void**) {
  for (Shape shape : kShapes) {
    for (const std::string customer : {"cus_1", ""}) {
      const std::string place = customer.empty() ? "cs_1" : customer;
      for (const std::string named : {"ann", ""}) {
        for (const std::string what : {"cs_1", "pi_1"}) {
          Told told = {session(shape, customer, named), kLink + what + " mia"};
          if (!customer.empty()) {
            told.push_back(test::customer_event(at("bob", 0, shape), "created",
                                                "cus_1", "bob"));
          }
          assert_always(told, place,
                        {{"mia", "course"}, {"ann", ""}, {"bob", ""}});
          told.emplace_back();
          for (Back how : kBack) {
            told.back() = back(shape, how, customer);
            assert_always(told, place, {{"mia", ""}, {"ann", ""}, {"bob", ""}});
          }
        }
      }
    }
  }
}

// What becomes the customer's owner's since another bought moves together.
void a_later_purchase_of_another_parts_nothing(void**) {
  for (Shape shape : kShapes) {
    const std::string later =
        test::session_event(at("later", 9, shape), "completed",
                            {.id = "cs_2",
                             .payment_intent = "pi_2",
                             .payment_link = "plink_2",
                             .client_reference_id = "bob"});
    for (const std::string what : {"cs_1", "pi_1"}) {
      const std::string link = kLink + what + " mia";
      assert_always({session(shape, "cus_1", ""), link, later}, "cus_1",
                    {{"mia", "course"}, {"bob", "other"}});
      for (Back how : kBack) {
        assert_always({session(shape, "cus_1", ""), link, later,
                       back(shape, how, "cus_1")},
                      "cus_1", {{"mia", ""}, {"bob", "other"}});
      }
    }
  }
}

// The payment's own metadata is a word on the session as well.
void what_the_payment_says_is_said_of_the_session(void**) {
  for (Shape shape : kShapes) {
    const test::Payment payment{.customer = "cus_1"};
    const Told told = {
        test::customer_event(at("bob", 0, shape), "created", "cus_1", "bob"),
        session(shape, "cus_1", ""),
        test::payment_event(at("paid", 1, shape), payment, "ann", "tagged")};
    assert_always(told, "cus_1", {{"ann", "course tagged"}, {"bob", ""}});
    for (Back how : kBack) {
      Told given_back = told;
      given_back.push_back(back(shape, how, "cus_1"));
      assert_always(given_back, "cus_1", {{"ann", ""}, {"bob", ""}});
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_operators_word_on_any_of_it_is_one_on_all),
      cmocka_unit_test(a_later_purchase_of_another_parts_nothing),
      cmocka_unit_test(what_the_payment_says_is_said_of_the_session),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
