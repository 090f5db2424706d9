// What a record's sources come to, one by one, before any policy and at any
// time: small, so that the gate can cache it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {

// What one source gives until one and the same time; a source has several of
// them where its items are paid for until different times.
struct Projection {
  enum class State {
    active,       // until `end` + grace (kForever: no known end)
    ending,       // until `end` sharp
    past_due,     // until `since` + past_due_grace
    paid,         // one-time purchase
    provisional,  // paid subscription session, until `since` + provisional
    refunded,     // paid, then fully refunded
    disputed,     // paid, with an open or lost dispute
    ended,
    not_paid,
  };
  std::string source;
  State state = State::not_paid;
  UnixTime end = kForever;
  UnixTime cancelled = kForever;  // not beyond this, whatever the state says
  UnixTime paused_until{};        // its collection is; kForever: nobody says
  UnixTime since{};
  std::vector<Identifier> identifiers;
  bool disputed = false;  // with State::disputed, and beside State::refunded
  bool ambiguous = false;
  // Stripe says a word of it that is not known: it opens nothing, and somebody
  // has to look.
  bool unclear = false;
  // It is paid, and what Stripe has to say of that was not heard of: anything
  // of the subscription that a session paid, or that a subscription runs again
  // whose invoice was paid.
  bool awaited = false;
  bool operator==(const Projection&) const = default;
};

// Those of a source one after the other, the one that reaches farthest first.
// Payments (pi_, ch_) and deleted customers are folded into what they touch.
std::vector<Projection> project(const Sources& sources);

// Whether somebody has paid for any of it (or tries it, or was given it) and
// has not got it back: no session that waits for its payment, no payment of
// which is only known what it belongs to, nothing that ended.
bool is_paid_for(const Sources& sources);
// The ids of those that are, by themselves.
std::set<std::string> paid_for(const Sources& sources);

}  // namespace entitle
