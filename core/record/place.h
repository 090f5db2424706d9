// A Stripe id's place as it stands in Redis: who claims it, what waits in it
// and where its facts go. docs/redis.md, "Places", is the public description;
// core/delivery is the protocol that brings a place's facts to its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/record/naming.h"
#include "core/record/owners.h"
#include "core/redis/reply.h"
#include "core/source/claim.h"
#include "core/source/said_email.h"
#include "core/source/source.h"

namespace entitle {

struct Place {
  static constexpr std::size_t kMaxClaims = 8;  // of each: users, places
  // Of all sources together, as naming_bytes() counts: some 14,000 that are
  // named each by one user.
  static constexpr std::size_t kMaxNamingBytes = 2 << 20;

  bool exists = false;
  // Of users or places as a whole: users first, greatest first; see add().
  std::vector<Claim> claims;
  // Of single sources, by source: greatest first; see add().
  Naming naming;
  // The same, of those for which there was no room in `naming`.
  Naming waiting;
  std::int64_t epoch = 0;
  std::set<Target> holders;  // users: their records that may hold its facts
  std::set<std::string> other_holders;  // a later version's, as JSON
  // While it is not settled: those of the holders and owners who lose or gain
  // anything at this epoch, or did at one that nobody settled. Null: all.
  std::optional<std::set<Target>> concerned;
  std::int64_t format = 0;  // see core/record/fields.h
  // Settled: where facts go, but for those of the sources in `owned`.
  std::optional<Target> to;
  std::map<std::string, Target, std::less<>> owned;
  Sources sources;  // waiting
  // Passed on to every place in forwards() already, and kept for one that may
  // become known later.
  Sources passed_on;
  std::optional<SaidEmail> email;  // the newest

  // Takes a claim; any order of the same claims ends in the same place.
  //
  // `claims` keeps one of each (kind, target): the newest that names a user,
  // the oldest that names a place. Of those the kMaxClaims users greatest by
  // (kind: the customer's metadata, explicit, e-mail; created, event, kind,
  // target), then the kMaxClaims places greatest by what they stand for (see
  // may_forward) and id.
  //
  // `naming` keeps those about single sources (core/record/naming.h). No
  // source gives up its claims for another: once there are kMaxNamingBytes, one
  // that nobody named before goes to `waiting`, and is nobody's until there is
  // room.
  void add(const Claim& claim);
  // Has in `naming` what waits, as far as there is room.
  void make_use_of_room();
  // Whether it is kept, word for word.
  bool has(const Claim& claim) const;
  // Takes a newer e-mail; not one that repeats what is known in a place that
  // is somebody's, where it decides nothing any more.
  void take(const std::optional<SaidEmail>& said);

  // Whose everything here is: a pure function of the claims. "p:<place>" when
  // it is known to be part of another place, whoever else claims it (its claims
  // are passed on as well, so they count there). Else a source is whose its
  // newest claim says, or that of the same purchase, unless one of all of it
  // counts for more (a later version's kinds); what nothing names is the
  // customer's: by the customer's metadata, else the newest claim of any
  // source, else by e-mail.
  Owners owners() const;
  std::optional<Target> owner() const { return owners().rest; }
  // Whose all of it is by an e-mail that was corrected since: such a claim is
  // dated by when Stripe said the e-mail it was made with. Null: nobody's.
  std::optional<User> owner_by_older_email() const;
  // Every place this one is part of, the greatest first.
  std::vector<std::string> forwards() const;
  // All that names users, and all about single sources.
  std::vector<Claim> user_claims() const;
  // Facts go straight on: nothing waits, and all who may hold any are owners.
  bool settled() const;
  // What settle() must do again.
  void unsettle();
  // Notes who is concerned by what changed since `before`, whatever the epoch.
  void note_concerned(const Place& before);

  static std::optional<Place> decode(const Reply& hgetall);
};

// What belongs to what at Stripe never changes and never runs in circles:
// charge -> payment intent -> invoice -> session -> customer_account ->
// customer, each inside one account. A claim that says anything else is not
// taken.
bool may_forward(std::string_view from, std::string_view to);

// A customer's place, by either name, stays for ever; any other's expires
// (docs/redis.md).
bool is_customer(std::string_view place);

}  // namespace entitle
