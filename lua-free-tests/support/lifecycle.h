// Makes up what happens between a shop's customers and Stripe, tells it as
// Stripe's events in the true order, and remembers what is true in the end.
// Knows Stripe's rules and the promises of docs/stripe.md, and calls nothing
// in core/.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "lua-free-tests/support/stripe_json.h"

namespace entitle::test {

struct Said {
  Time at = 0;
  std::string id, what;  // what: for people
  std::string body;
};

inline constexpr Time kNever = INT64_MAX;

// What one source gives in the end: these identifiers until then.
struct SourceTruth {
  std::vector<std::string> identifiers;
  Time until = 0;          // 0: nothing, kNever: for ever
  std::string status;      // of a subscription
  bool determined = true;  // payloads tell
};

struct Lifecycle {
  std::vector<Said> said;                      // in the true order
  std::map<std::string, SourceTruth> sources;  // by source id
  // "customer" (what nothing names), "customer source" -> "u:..."; "": none
  std::map<std::string, std::string> owners;
  std::vector<Time> instants;  // worth a look
};

// One user's year with Stripe; many years at a greater `pace`, with nothing
// happening for months. Equal seeds make equal lives; a life of fewer steps is
// the beginning of the longer one.
Lifecycle make_lifecycle(std::uint64_t seed, int steps, int pace = 1);

}  // namespace entitle::test
