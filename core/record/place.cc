#include "core/record/place.h"

#include <algorithm>
#include <tuple>

#include "core/record/fields.h"
#include "core/source/stripe_id.h"

namespace entitle {
namespace {

bool names_place(const Claim& claim) {
  return claim.kind == ClaimKind::forward;
}

auto weight_of_user(const Claim& claim) {
  return std::make_tuple(
      rank(claim), claim.created, std::string_view(claim.event), claim.kind,
      std::string_view(claim.other_kind), std::string_view(claim.target));
}

auto weight_of_place(const Claim& claim) {
  std::string_view place = place_of(claim.target);
  return std::make_tuple(StripeId(place).kind(), place);
}

bool greater(const Claim& a, const Claim& b) {
  if (names_place(a) != names_place(b)) return names_place(b);
  if (names_place(a)) return weight_of_place(a) > weight_of_place(b);
  return weight_of_user(a) > weight_of_user(b);
}

// Of two claims of one kind and target. A user's counts by when it was last
// said; what belongs to what does not change, so the first is kept and the
// many that repeat it write nothing.
void join(Claim& known, const Claim& claim) {
  auto said = std::tie(claim.created, claim.event);
  auto said_before = std::tie(known.created, known.event);
  if (said == said_before) {
    known.unknown.merge(claim.unknown);
  } else if ((said < said_before) == names_place(claim)) {
    known = claim;
  }
}

// Drops the least of those that name a user, or of those that name a place,
// when there are too many.
void bound(std::vector<Claim>& claims) {
  std::size_t users = 0;
  std::size_t places = 0;
  std::erase_if(claims, [&](const Claim& claim) {
    std::size_t& count = names_place(claim) ? places : users;
    return ++count > Place::kMaxClaims;
  });
}

bool read_source(Sources& sources, std::string_view id,
                 const std::string& text) {
  std::optional<Source> source = Source::decode(text);
  if (!source) return false;
  sources.insert_or_assign(std::string(id), *std::move(source));
  return true;
}

template <class T>
bool keep(std::optional<T> value, T& field) {
  if (!value) return false;
  field = *std::move(value);
  return true;
}

bool read_to(Place& place, const std::string& text) {
  place.to = decode_target(text);
  return place.to.has_value();
}

bool read_field(Place& place, std::string_view name, const std::string& text) {
  if (name.starts_with("source:")) {
    return read_source(place.sources, name.substr(7), text);
  }
  if (name.starts_with("passed_on:")) {
    return read_source(place.passed_on, name.substr(10), text);
  }
  if (name == "claims") return keep(decode_claims(text), place.claims);
  if (name == "holders") {
    return decode_holders(text, place.holders, place.other_holders);
  }
  if (name == "format") return read_integer(text, place.format);
  if (name == "epoch") return read_integer(text, place.epoch);
  if (name == "to") return read_to(place, text);
  return true;
}

}  // namespace

bool may_forward(std::string_view from, std::string_view to) {
  StripeId part(from), whole(to);
  return part.account() == whole.account() && part.kind() < whole.kind();
}

bool is_customer(std::string_view place) {
  return StripeId(place).kind() == StripeId::Kind::customer;
}

bool Place::add(const Claim& claim) {
  std::vector<Claim> next = claims;
  auto same = std::find_if(next.begin(), next.end(), [&](const Claim& known) {
    return known.kind == claim.kind && known.target == claim.target &&
           known.other_kind == claim.other_kind;
  });
  if (same == next.end()) {
    next.push_back(claim);
  } else {
    join(*same, claim);
  }
  std::sort(next.begin(), next.end(), greater);
  bound(next);
  if (next == claims) return false;
  claims = std::move(next);
  return true;
}

std::vector<std::string> Place::forwards() const {
  std::vector<std::string> places;
  for (const Claim& claim : claims) {
    if (names_place(claim)) places.emplace_back(place_of(claim.target));
  }
  return places;
}

std::vector<Claim> Place::user_claims() const {
  std::vector<Claim> users;
  for (const Claim& claim : claims) {
    if (!names_place(claim) && user_of(claim.target)) users.push_back(claim);
  }
  return users;
}

std::optional<std::string> Place::owner() const {
  auto forward = std::find_if(claims.begin(), claims.end(), names_place);
  if (forward != claims.end()) return forward->target;
  if (claims.empty() || rank(claims.front()) == 0) return std::nullopt;
  return claims.front().target;
}

bool Place::settled() const {
  std::optional<std::string> whose = owner();
  if (!whose || to != whose || !sources.empty()) return false;
  if (!user_of(*whose)) return holders.empty();
  return holders.size() == 1 && *holders.begin() == *whose;
}

std::optional<Place> Place::decode(const Reply& hgetall) {
  Place place;
  bool read = each_field(
      hgetall, [&](const std::string& field, const std::string& text) {
        return read_field(place, field, text);
      });
  if (!read) return std::nullopt;
  place.exists = !hgetall.elements.empty();
  return place;
}

}  // namespace entitle
