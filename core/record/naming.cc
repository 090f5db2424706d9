#include "core/record/naming.h"

#include <algorithm>
#include <tuple>

#include "core/source/stripe_id.h"

namespace entitle {
namespace {

bool is_part_of(const Claim& claim) { return claim.kind == ClaimKind::part_of; }

auto weight_of_naming(const Claim& claim) {
  return std::make_tuple(
      rank_of_naming(claim), claim.created, std::string_view(claim.event),
      claim.kind, std::string_view(claim.other_kind),
      std::string_view(claim.target.str()), std::string_view(claim.source));
}

bool greater(const Claim& a, const Claim& b) {
  if (is_part_of(a) != is_part_of(b)) return is_part_of(b);
  if (is_part_of(a)) return a.target < b.target;
  return weight_of_naming(a) > weight_of_naming(b);
}

std::size_t bytes_of(const Claim& claim) {
  constexpr std::size_t kNames = 80;
  return kNames + 2 * (claim.source.size() + claim.target.str().size()) +
         claim.event.size();
}

// Of two claims of one target.
void join(Claim& known, const Claim& claim) {
  if (known.says_what(claim)) {
    known.unknown.merge(claim.unknown);
  } else if (is_part_of(claim) ==
             (weight_of_naming(claim) < weight_of_naming(known))) {
    known = claim;
  }
}

void bound(std::vector<Claim>& claims) {
  std::size_t users = 0, wholes = 0;
  std::erase_if(claims, [&](const Claim& claim) {
    return is_part_of(claim) ? ++wholes > kMaxWholesOfSource
                             : ++users > kMaxUsersOfSource;
  });
}

// The claim that counts first of those about one source. Null: none names whose
// it is.
const Claim* first_of(const Naming& naming, std::string_view source) {
  auto found = naming.find(source);
  if (found == naming.end() || rank(found->second.front()) == 0) return nullptr;
  return &found->second.front();
}

bool names_one(const Naming& naming, std::string_view source) {
  return first_of(naming, source) != nullptr;
}

bool is_payment(std::string_view source) {
  return StripeId(source).kind() <= StripeId::Kind::payment_intent;
}

// Sources that are one purchase, by what pays for it or is paid: also those of
// which that is known and has no room.
class Purchases {
 public:
  Purchases(const Naming& naming, const Naming& waiting) : naming_(&naming) {
    join_all(naming);
    join_all(waiting);
  }

  void tell(const Naming& waiting, Named& named) {
    std::map<std::string_view, std::vector<std::string_view>> purchases;
    for (const auto& [source, next] : next_) {
      purchases[end_of(source)].push_back(source);
    }
    for (const auto& [end, sources] : purchases) {
      tell_of(sources, waiting, named);
    }
  }

  bool has(std::string_view source) const { return next_.contains(source); }

 private:
  void join_all(const Naming& naming) {
    for (const auto& [source, claims] : naming) {
      for (const Claim& claim : claims) {
        if (is_part_of(claim)) join(source, claim.target.place());
      }
    }
  }

  void join(std::string_view part, std::string_view whole) {
    std::string_view end = end_of(part);
    if (is_payment(part)) {
      next_[end] = end_of(whole);
    } else {
      std::string_view& of = subscription_of_[part];
      of = std::max(of, whole);
    }
  }

  std::string_view end_of(std::string_view source) {
    auto next = next_.try_emplace(source, source).first;
    while (next->second != next->first) next = next_.find(next->second);
    return next->first;
  }

  void tell_of(const std::vector<std::string_view>& sources,
               const Naming& waiting, Named& named) const {
    const Claim* first = nullptr;
    std::string_view subscription;
    bool waits = false;
    for (std::string_view source : sources) {
      const Claim* one = first_of(*naming_, source);
      if (one != nullptr && (first == nullptr || greater(*one, *first))) {
        first = one;
      }
      waits |= names_one(waiting, source);
      auto of = subscription_of_.find(source);
      if (of != subscription_of_.end()) {
        subscription = std::max(subscription, of->second);
      }
    }
    if (first == nullptr && !subscription.empty()) {
      first = first_of(*naming_, subscription);
      waits |= names_one(waiting, subscription);
    }
    for (std::string_view source : sources) {
      if (first != nullptr) named.by.emplace_back(source, first);
      if (waits) named.nobodys.emplace(source);
    }
  }

  const Naming* naming_;
  std::map<std::string_view, std::string_view> next_;  // each end its own
  std::map<std::string_view, std::string_view> subscription_of_;
};

}  // namespace

std::size_t naming_bytes(const Naming& naming) {
  std::size_t bytes = 0;
  for (const auto& [source, claims] : naming) {
    for (const Claim& claim : claims) bytes += bytes_of(claim);
  }
  return bytes;
}

int rank_of_naming(const Claim& claim) {
  constexpr int kAsGoodAsTheCustomers = 3;
  if (claim.kind == ClaimKind::operators_of_purchase) return kOperatorsRank;
  int said = rank(claim);
  return said == 0 ? 0 : std::max(said, kAsGoodAsTheCustomers);
}

void name(Naming& naming, const Claim& claim) {
  std::vector<Claim>& claims = naming[claim.source];
  auto same = std::find_if(claims.begin(), claims.end(), [&](const Claim& c) {
    return c.target == claim.target && c.other_kind == claim.other_kind &&
           is_part_of(c) == is_part_of(claim);
  });
  if (same == claims.end()) {
    claims.push_back(claim);
  } else {
    join(*same, claim);
  }
  std::sort(claims.begin(), claims.end(), greater);
  bound(claims);
}

Named named_by(const Naming& naming, const Naming& waiting) {
  Named named;
  Purchases purchases(naming, waiting);
  for (const auto& [source, claims] : naming) {
    if (purchases.has(source) || rank(claims.front()) == 0) continue;
    named.by.emplace_back(source, &claims.front());
  }
  for (const auto& [source, claims] : waiting) {
    if (names_one(waiting, source)) named.nobodys.insert(source);
  }
  purchases.tell(waiting, named);
  return named;
}

}  // namespace entitle
