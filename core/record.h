// The user's record and a Stripe id's place, as they stand in Redis.
// docs/redis.md is the public description; this is its code.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/facts.h"
#include "core/reply.h"
#include "core/source.h"
#include "core/types.h"

namespace entitle {

// entitle:<mode>:{u:<user>} ...; ids are percent-encoded inside the braces.
class Keys {
 public:
  Keys(std::string_view prefix, Mode mode);
  std::string record(const User& user) const;      // {u:<user>}
  std::string log(const User& user) const;         // {u:<user>}:log
  std::string place(std::string_view id) const;    // {p:<id>}
  std::string event(std::string_view id) const;
  std::string email(std::string_view lower_case) const;
  std::string parked() const;
  std::string webhook() const;

 private:
  std::string base_;
};

struct PlaceMark {  // field place:<id> of a record
  std::int64_t epoch = 0;
  bool live = false;  // gone: its facts were moved elsewhere at this epoch
  bool operator==(const PlaceMark&) const = default;
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
  bool exists = false;
  std::vector<Claim> claims;  // newest per kind and target, the 8 greatest
  std::int64_t epoch = 0;
  std::set<std::string> holders;  // "u:<user>": records that may hold its facts
  std::optional<std::string> to;  // settled: where facts go
  Sources sources;                // waiting

  // True when anything changed.
  bool add(const Claim& claim);
  // Whose this place is: a pure function of the claims. "u:<user>" or
  // "p:<place>"; null: nobody's yet.
  std::optional<std::string> owner() const;

  static std::optional<Place> decode(const Reply& hgetall);
};

}  // namespace entitle
