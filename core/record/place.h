// A Stripe id's place as it stands in Redis: who claims it, what waits in it
// and where its facts go. docs/redis.md, "Places", is the public description;
// core/delivery is the protocol that brings a place's facts to its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/reply.h"
#include "core/source/claim.h"
#include "core/source/source.h"

namespace entitle {

struct Place {
  static constexpr std::size_t kMaxClaims = 8;  // of each: users, places

  bool exists = false;
  std::vector<Claim> claims;  // users first, greatest first; see add()
  std::int64_t epoch = 0;
  std::set<std::string> holders;  // "u:<user>": records that may hold its facts
  std::set<std::string> other_holders;  // a later version's, as JSON
  std::int64_t format = 0;              // see core/record/fields.h
  std::optional<std::string> to;        // settled: where facts go
  Sources sources;                      // waiting
  // Passed on to every place in forwards() already, and kept for one that may
  // become known later.
  Sources passed_on;

  // Keeps one claim of each (kind, target): the newest that names a user, the
  // oldest that names a place. Of those the kMaxClaims users greatest by (rank,
  // created, event, kind, target), then the kMaxClaims places greatest by what
  // they stand for (see may_forward) and id. Any order of the same claims ends
  // in the same claims. True when anything changed.
  bool add(const Claim& claim);
  // Whose this place is: a pure function of the claims. "p:<place>" when it
  // is known to be part of another place, whoever else claims it (its claims
  // are passed on as well, so they count there); else "u:<user>"; null:
  // nobody's yet.
  std::optional<std::string> owner() const;
  // Every place this one is part of, the greatest first.
  std::vector<std::string> forwards() const;
  std::vector<Claim> user_claims() const;
  // Facts go straight to `to`: nothing waits, nobody else may hold any.
  bool settled() const;

  static std::optional<Place> decode(const Reply& hgetall);
};

// What belongs to what at Stripe never changes and never runs in circles:
// charge -> payment intent -> session -> customer, each inside one account. A
// claim that says anything else is not taken.
bool may_forward(std::string_view from, std::string_view to);

// A customer's place stays for ever; any other's expires (docs/redis.md).
bool is_customer(std::string_view place);

}  // namespace entitle
