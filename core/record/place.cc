#include "core/record/place.h"

#include <algorithm>
#include <tuple>

#include "core/json/reader.h"
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
      std::string_view(claim.other_kind), std::string_view(claim.target.str()));
}

auto weight_of_place(const Claim& claim) {
  std::string_view place = claim.target.place();
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

Claim of_all(Claim claim) {
  claim.source.clear();
  return claim;
}

bool read_naming(Naming& naming, std::string_view source,
                 const std::string& text) {
  std::optional<std::vector<Claim>> claims = decode_claims(text);
  if (!claims || claims->empty()) return false;
  for (Claim& claim : *claims) {
    if (names_place(claim)) return false;
    claim.source = source;
  }
  naming.insert_or_assign(std::string(source), *std::move(claims));
  return true;
}

bool read_owned(Place& place, std::string_view source,
                const std::string& text) {
  std::optional<Target> owner = Target::decode(text);
  if (!owner) return false;
  place.owned.insert_or_assign(std::string(source), *std::move(owner));
  return true;
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

// Of another epoch it says nothing: an older version may have raised it.
std::optional<std::set<Target>> read_concerned(std::string_view text,
                                               std::int64_t epoch) {
  std::int64_t at = -1;
  std::string list;
  JsonReader in(text);
  in.object([&](std::string_view key) {
    if (key == "epoch") return in.integer(at);
    if (key == "holders") return in.value(list);
    std::string other;
    in.value(other);
  });
  std::set<Target> concerned;
  std::set<std::string> others;
  bool read = in.finish() && at == epoch &&
              decode_holders(list, concerned, others) && others.empty();
  if (!read) return std::nullopt;
  return concerned;
}

bool read_to(Place& place, const std::string& text) {
  place.to = Target::decode(text);
  return place.to.has_value();
}

bool read_field(Place& place, std::string& concerned, std::string_view name,
                const std::string& text) {
  if (name.starts_with("source:")) {
    return read_source(place.sources, name.substr(7), text);
  }
  if (name.starts_with("passed_on:")) {
    return read_source(place.passed_on, name.substr(10), text);
  }
  if (name.starts_with("claims:")) {
    return read_naming(place.naming, name.substr(7), text);
  }
  if (name.starts_with("waiting:")) {
    return read_naming(place.waiting, name.substr(8), text);
  }
  if (name.starts_with("owner:")) {
    return read_owned(place, name.substr(6), text);
  }
  if (name == "email") {
    place.email = SaidEmail::decode(text);
    return place.email.has_value();
  }
  if (name == "claims") return keep(decode_claims(text), place.claims);
  if (name == "holders") {
    return decode_holders(text, place.holders, place.other_holders);
  }
  if (name == "concerned") {
    concerned = text;
    return true;
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
  return StripeId(place).kind() >= StripeId::Kind::customer_account;
}

void Place::add(const Claim& claim) {
  if (!claim.source.empty()) {
    bool room =
        naming.contains(claim.source) || naming_bytes(naming) < kMaxNamingBytes;
    name(room ? naming : waiting, claim);
  }
  if (claim.kind == ClaimKind::part_of) return;
  Claim whole = of_all(claim);
  auto same = std::find_if(claims.begin(), claims.end(), [&](const Claim& c) {
    return c.kind == whole.kind && c.target == whole.target &&
           c.other_kind == whole.other_kind;
  });
  if (same == claims.end()) {
    claims.push_back(std::move(whole));
  } else {
    join(*same, whole);
  }
  std::sort(claims.begin(), claims.end(), greater);
  bound(claims);
}

void Place::make_use_of_room() {
  for (auto of = waiting.begin(); of != waiting.end();) {
    bool named = naming.contains(of->first);
    if (!named && naming_bytes(naming) >= kMaxNamingBytes) return;
    for (const Claim& claim : of->second) name(naming, claim);
    of = waiting.erase(of);
  }
}

bool Place::has(const Claim& claim) const {
  auto kept_in = [](const std::vector<Claim>& list, const Claim& one) {
    return std::any_of(list.begin(), list.end(), [&](const Claim& known) {
      return known.says_what(one);
    });
  };
  for (const Naming* some : {&naming, &waiting}) {
    auto of = some->find(claim.source);
    if (of != some->end() && kept_in(of->second, claim)) return true;
  }
  return kept_in(claims, of_all(claim));
}

void Place::take(const std::optional<SaidEmail>& said) {
  if (!said || (email && *said <= *email)) return;
  if (email && email->text == said->text && owner()) return;
  email = said;
}

std::vector<std::string> Place::forwards() const {
  std::vector<std::string> places;
  for (const Claim& claim : claims) {
    if (names_place(claim)) places.emplace_back(claim.target.place());
  }
  return places;
}

std::vector<Claim> Place::user_claims() const {
  std::vector<Claim> users;
  for (const Claim& claim : claims) {
    if (!names_place(claim) && claim.target.user()) users.push_back(claim);
  }
  for (const Naming* some : {&naming, &waiting}) {
    for (const auto& [source, about] : *some) {
      users.insert(users.end(), about.begin(), about.end());
    }
  }
  return users;
}

Owners Place::owners() const {
  Owners owners;
  auto forward = std::find_if(claims.begin(), claims.end(), names_place);
  if (forward != claims.end()) {
    owners.rest = forward->target;
    return owners;
  }
  if (claims.empty() || rank(claims.front()) == 0) return owners;
  owners.rest = claims.front().target;
  Named named = named_by(naming, waiting);
  for (const auto& [source, first] : named.by) {
    // What counts for more than any purchase's word (an operator's) has all.
    bool decides = rank_of_naming(*first) >= rank(claims.front());
    if (!decides || first->target == owners.rest) continue;
    owners.exceptions.emplace(source, first->target);
  }
  owners.nobodys = std::move(named.nobodys);
  return owners;
}

std::optional<User> Place::owner_by_older_email() const {
  if (!email || claims.empty() || !forwards().empty()) return std::nullopt;
  const Claim& first = claims.front();
  if (first.kind != ClaimKind::email || first.created >= email->said) {
    return std::nullopt;
  }
  return first.target.user();
}

bool Place::settled() const {
  Owners whose = owners();
  if (!whose.rest || to != whose.rest) return false;
  bool waits = std::any_of(
      sources.begin(), sources.end(),
      [&](const auto& one) { return whose.of(one.first).has_value(); });
  if (waits) return false;
  if (!whose.rest->user()) return holders.empty();
  return owned == whose.exceptions && holders == whose.all();
}

void Place::unsettle() {
  to.reset();
  owned.clear();
}

void Place::note_concerned(const Place& before) {
  const Owners owned_before = before.owners();
  const Owners owned_now = owners();
  auto is_users = [](const Owners& some) {
    return some.rest && some.rest->user().has_value();
  };
  bool nothing_else = before.settled() || before.concerned;
  if (!nothing_else || !is_users(owned_before) || !is_users(owned_now)) {
    concerned.reset();
    return;
  }
  std::set<Target> some = owned_before.concerned_by(owned_now);
  if (!before.settled())
    some.insert(before.concerned->begin(), before.concerned->end());
  std::set<Target> all = owned_now.all();
  all.insert(holders.begin(), holders.end());
  concerned.reset();
  if (!std::includes(some.begin(), some.end(), all.begin(), all.end())) {
    concerned = std::move(some);
  }
}

std::optional<Place> Place::decode(const Reply& hgetall) {
  Place place;
  std::string concerned;
  bool read = each_field(
      hgetall, [&](const std::string& field, const std::string& text) {
        return read_field(place, concerned, field, text);
      });
  if (!read) return std::nullopt;
  place.concerned = read_concerned(concerned, place.epoch);
  place.exists = !hgetall.elements.empty();
  return place;
}

}  // namespace entitle
