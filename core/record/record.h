// The user's record and a Stripe id's place, as they stand in Redis.
// docs/redis.md is the public description; this is its code.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/redis/reply.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"

namespace entitle {

// entitle:<mode>:{u:<user>} ...; ids are percent-encoded inside the braces.
class Keys {
 public:
  Keys(std::string_view prefix, Mode mode);
  std::string record(const User& user) const;    // {u:<user>}
  std::string log(const User& user) const;       // {u:<user>}:log
  std::string place(std::string_view id) const;  // {p:<id>}
  std::string event(std::string_view id) const;
  std::string email(std::string_view lower_case) const;
  std::string parked() const;
  std::string webhook() const;
  // Where something unreadable is kept, in the same Cluster slot.
  static std::string quarantine(std::string_view key);

 private:
  std::string base_;
};

struct PlaceMark {  // field place:<id> of a record
  std::int64_t epoch = 0;
  bool live = false;  // gone: its facts were moved elsewhere at this epoch
  bool operator==(const PlaceMark&) const = default;

  std::string encode() const;  // "3 live", "3 gone"
  static std::optional<PlaceMark> decode(std::string_view text);
};

struct Record {
  bool exists = false;
  std::int64_t version = 0;            // 0: no record yet
  std::optional<UnixTime> not_before;  // sessions and JWTs older are stale
  std::optional<UnixTime> updated;
  Sources sources;
  std::map<std::string, PlaceMark, std::less<>> places;

  // From HGETALL's reply. Null: it cannot be read (wrong type, corrupt).
  // Unknown fields are left alone: they are somebody else's.
  static std::optional<Record> decode(const Reply& hgetall);
};

struct Place {
  static constexpr std::size_t kMaxClaims = 8;  // of each: users, places

  bool exists = false;
  std::vector<Claim> claims;  // users first, greatest first; see add()
  std::int64_t epoch = 0;
  std::set<std::string> holders;  // "u:<user>": records that may hold its facts
  std::optional<std::string> to;  // settled: where facts go
  Sources sources;                // waiting
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
