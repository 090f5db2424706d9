#include "cli/reconcile/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cli/base/text.h"
#include "cli/kept/purchase.h"
#include "core/delivery/ignored.h"
#include "core/source/stripe_id.h"

namespace entitle::cli {
namespace {

using Purchases = std::map<std::string, Purchase>;

Purchases by_source(const Sources& sources, const Context& context) {
  Purchases all;
  for (Purchase& purchase : purchases_of(sources, context)) {
    std::string id = purchase.source;
    all.emplace(std::move(id), std::move(purchase));
  }
  return all;
}

const Purchase* find(const Purchases& all, const std::string& id) {
  const auto found = all.find(id);
  return found == all.end() ? nullptr : &found->second;
}

bool effective(const Purchase* purchase) {
  return purchase != nullptr && purchase->effective;
}

std::string text_of(const Purchase* purchase) {
  if (purchase == nullptr) return "not there";
  std::string text(name(purchase->state));
  if (purchase->effective && purchase->until != kForever) {
    text += " until " + text_of_time(purchase->until);
  }
  if (purchase->effective) {
    text += ", carries " + text_of_identifiers(purchase->identifiers);
  }
  return text;
}

// Those that the payments of these sources are known to have had given back.
void add_given_back(Sources& all, const Sources& told,
                    const Sources& given_back) {
  for (const auto& [id, source] : told) {
    for (const SessionFact& fact : source.sessions) {
      const auto found = given_back.find(fact.payment_intent);
      if (found != given_back.end()) {
        all[found->first].merge(found->second);
      }
    }
  }
}

class Comparison {
 public:
  Comparison(const Context& context, const Told& told, const Kept& kept,
             const Sources& given_back, const std::set<std::string>& ignored)
      : context_(context),
        told_(told),
        own_(told.facts.places.back()),
        kept_(kept),
        ignored_(ignored),
        before_(by_source(kept.sources, context)),
        place_(kept.place) {
    Sources all = kept.sources;
    merge(all, own_.sources);
    add_given_back(all, own_.sources, given_back);
    after_ = by_source(all, context);
    for (const Claim& claim : own_.claims) place_.add(claim);
    place_.take(own_.email);
    owners_before_ = kept.place.owners();
    owners_after_ = place_.owners();
  }

  std::vector<Finding> findings() {
    std::set<std::string> concerned;
    for (const auto& [id, purchase] : after_) {
      if (differs(id) || is_told(id)) concerned.insert(id);
    }
    for (const std::string& id : concerned) look_at(id);
    return std::move(findings_);
  }

 private:
  bool is_told(const std::string& id) const {
    if (own_.sources.contains(id)) return true;
    return std::any_of(own_.claims.begin(), own_.claims.end(),
                       [&](const Claim& claim) { return claim.source == id; });
  }

  bool differs(const std::string& id) const {
    const Purchase* before = find(before_, id);
    const Purchase* after = find(after_, id);
    if (!effective(before) && !effective(after)) return false;
    if (effective(before) != effective(after)) return true;
    // An end that is assumed is so by when it was said.
    const bool ends_alike =
        before->until == after->until || told_.facts.assumes_end;
    return !ends_alike || before->state != after->state ||
           before->identifiers != after->identifiers;
  }

  std::optional<User> owner(const Owners& owners, const std::string& id) const {
    const std::optional<Target> target = owners.of(id);
    return target ? target->user() : std::nullopt;
  }

  bool is_waved_through(const Purchase& purchase) const {
    SourceNames names;
    names.whole = {purchase.source, kept_.id, own_.place};
    const std::string_view account = StripeId(own_.place).account();
    if (!account.empty()) names.whole.emplace_back(account);
    if (purchase.gives.empty()) names.known_by = purchase.identifiers;
    return is_ignored(names, ignored_);
  }

  void add(Drift drift, const std::string& id, std::optional<User> user,
           std::string says) {
    findings_.push_back(
        {drift, id, own_.place, std::move(user), std::move(says)});
  }

  void look_at(const std::string& id) {
    const Purchase* before = find(before_, id);
    const Purchase* after = find(after_, id);
    const std::optional<User> was = owner(owners_before_, id);
    const std::optional<User> is = owner(owners_after_, id);
    const std::string differs_by =
        text_of(after) + "; here: " + text_of(before);
    const bool known = kept_.sources.contains(id);
    if (differs(id)) {
      const Drift drift = !effective(after) ? Drift::extra
                          : known           ? Drift::stale
                                            : Drift::missing;
      add(drift, id, is ? is : was, differs_by);
    }
    if (!effective(after)) return;
    if (is && was != is && known) {
      add(Drift::moved, id, is,
          was ? fmt::format("user \"{}\"'s; here: \"{}\"'s",
                            printable(is->str()), printable(was->str()))
              : fmt::format("user \"{}\"'s; here: nobody's",
                            printable(is->str())));
    }
    if (is_waved_through(*after)) return;
    if (!is) {
      add(Drift::unowned, id, is, text_of(after));
    } else if (after->gives.empty() && context_.grants() != nullptr) {
      add(Drift::unmatched, id, is,
          "no entitle_grant names " + text_of_identifiers(after->identifiers));
    }
  }

  const Context& context_;
  const Told& told_;
  const PlaceFacts& own_;
  const Kept& kept_;
  const std::set<std::string>& ignored_;
  Purchases before_, after_;
  Place place_;
  Owners owners_before_, owners_after_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view name(Drift drift) {
  switch (drift) {
    case Drift::missing:
      return "missing";
    case Drift::stale:
      return "stale";
    case Drift::extra:
      return "extra";
    case Drift::moved:
      return "moved";
    case Drift::unowned:
      return "unowned";
    case Drift::unmatched:
      return "unmatched";
  }
  return "";
}

bool can_be_healed(Drift drift) {
  return drift != Drift::unowned && drift != Drift::unmatched;
}

std::vector<Finding> compare(const Context& context, const Told& told,
                             const Kept& kept, const Sources& given_back,
                             const std::set<std::string>& ignored) {
  if (told.facts.places.empty()) return {};
  return Comparison(context, told, kept, given_back, ignored).findings();
}

}  // namespace entitle::cli
