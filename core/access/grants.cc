// GrantMap: `entitle_grant` lines.
#include <algorithm>
#include <map>

#include "core/access/access.h"

namespace entitle {
namespace {

// `feature=x` and `metadata=x` mean x where no line says otherwise. Not those
// of a connected account: it could name a feature after ours.
std::string_view namesake(std::string_view identifier) {
  for (std::string_view type : {"feature=", "metadata="}) {
    if (identifier.starts_with(type)) return identifier.substr(type.size());
  }
  return {};
}

}  // namespace

void GrantMap::add(std::string_view entitlement, Identifier identifier) {
  std::vector<std::string>& names = by_identifier_[std::move(identifier)];
  auto at = std::lower_bound(names.begin(), names.end(), entitlement);
  if (at == names.end() || *at != entitlement) names.emplace(at, entitlement);
}

std::vector<std::string_view> GrantMap::entitlements_of(
    const Identifier& identifier) const {
  auto line = by_identifier_.find(identifier);
  if (line != by_identifier_.end()) {
    return {line->second.begin(), line->second.end()};
  }
  std::string_view name = namesake(identifier.str());
  if (name.empty()) return {};
  return {name};
}

bool GrantMap::gives(const Identifier& identifier,
                     std::string_view entitlement) const {
  auto line = by_identifier_.find(identifier);
  if (line == by_identifier_.end()) {
    return !entitlement.empty() && namesake(identifier.str()) == entitlement;
  }
  return std::binary_search(line->second.begin(), line->second.end(),
                            entitlement);
}

std::vector<Entitlement> entitlements(
    const std::vector<Projection>& projections, const GrantMap& grants,
    const Policy& policy, UnixTime now) {
  std::map<std::string_view, UnixTime> until;
  for (const Projection& projection : projections) {
    Verdict verdict = judge(projection, policy, now);
    if (!verdict.effective) continue;
    for (const Identifier& identifier : projection.identifiers) {
      for (std::string_view name : grants.entitlements_of(identifier)) {
        UnixTime& latest = until[name];
        latest = std::max(latest, verdict.until);
      }
    }
  }
  std::vector<Entitlement> result;
  for (const auto& [name, end] : until) {
    result.push_back({std::string(name), end});
  }
  return result;
}

}  // namespace entitle
