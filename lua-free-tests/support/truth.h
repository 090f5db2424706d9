// Who is in, and until when, by what Stripe told: an oracle for tests of any
// set of events, written from the contract (docs/stripe.md and docs/redis.md)
// and from nothing else. It includes nothing of core/ and keeps all it hears
// for ever.
//
// Not decided here: the order of several snapshots of one subscription in one
// second (convergence_property_test does that). Events must have seconds of
// their own for each subscription.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "lua-free-tests/support/lifecycle.h"
#include "lua-free-tests/support/stripe_json.h"

namespace entitle::test {

struct SubscriptionTold {
  std::string type;  // without "customer.subscription."
  Subscription now;
};
struct RefundTold {
  std::string payment_intent;
  bool full = false;
};
struct DisputeTold {
  std::string payment_intent, id, status;
};
struct CustomerTold {
  std::string id, user;
  bool deleted = false;
};
// A payment that is nobody else's, with metadata of its own.
struct PaymentTold {
  std::string id, customer, user, note;
};

struct Told {
  Time at = 0;  // when the event was made
  std::string event;
  Shape shape = Shape::basil;
  std::variant<SubscriptionTold, Invoice, Session, RefundTold, DisputeTold,
               CustomerTold, PaymentTold>
      what;
  std::string body;
};

// What one source gives, and to whom ("": nobody is known yet).
struct Right {
  std::string owner;
  std::map<std::string, Span> identifiers;
};

// By source, of all that was told, which may come in any order, and twice.
std::map<std::string, Right> rights(std::vector<Told> told);

}  // namespace entitle::test
