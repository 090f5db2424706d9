// What Stripe tells of an object beside what is kept of it: what differs in
// what it opens, and for whom. Both sides go through the same rules of core's.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "cli/reconcile/kept.h"
#include "cli/stripe/told.h"
#include "core/base/types.h"
#include "core/source/source.h"

namespace entitle::cli {

enum class Drift {
  missing,    // paid at Stripe, and not kept
  stale,      // kept with another status, plan or end
  extra,      // open here, and over at Stripe
  moved,      // another user's, or nobody's here
  unowned,    // paid, and nobody is named
  unmatched,  // paid, and no grant knows it
};
inline constexpr std::size_t kDrifts = 6;
std::string_view name(Drift drift);
// What Stripe says mends it; the others need a person.
bool can_be_healed(Drift drift);

struct Finding {
  Drift drift = Drift::missing;
  std::string source;
  std::string place;
  std::optional<User> user;  // whose it is, as Stripe says; null: nobody's
  std::string says;
};

// `given_back`: what is known to be given back, by payment. `ignored`: what an
// operator waves through.
std::vector<Finding> compare(const Context& context, const Told& told,
                             const Kept& kept, const Sources& given_back,
                             const std::set<std::string>& ignored);

}  // namespace entitle::cli
