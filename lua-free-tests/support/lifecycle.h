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

// Until when an identifier is given: surely so until `sure`, surely not from
// `maybe` on; in between payloads do not tell. 0: not at all, kNever: for ever.
struct Span {
  Time sure = 0, maybe = 0;
};

// What one source gives in the end.
struct SourceTruth {
  std::map<std::string, Span> identifiers;
  std::string status;  // of a subscription
  Time paused = 0;     // until when its collection is, as far as anybody says
  void give(const std::vector<std::string>& all, Time until);
  Time last() const;  // until when anything is given for sure
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
