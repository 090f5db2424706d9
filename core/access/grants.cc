#include "core/access/grants.h"

#include <algorithm>

namespace entitle {
namespace {

// `feature=x` and `metadata=x` mean x where no line says otherwise. Not those
// of a connected account: it could name a feature after ours.
std::string_view namesake(const Identifier& identifier) {
  Identifier::Parts parts = identifier.parts();
  bool names = parts.type == Identifier::Type::feature ||
               parts.type == Identifier::Type::metadata;
  return names && parts.account.empty() ? parts.value : std::string_view();
}

}  // namespace

void GrantMap::add(std::string_view entitlement, Identifier identifier) {
  std::vector<std::string>& names = by_identifier_[std::move(identifier)];
  auto at = std::lower_bound(names.begin(), names.end(), entitlement);
  if (at == names.end() || *at != entitlement) names.emplace(at, entitlement);
}

void GrantMap::add(const GrantMap& other) {
  for (const auto& [identifier, names] : other.by_identifier_) {
    for (const std::string& name : names) add(name, identifier);
  }
  others_.insert(other.others_.begin(), other.others_.end());
}

std::vector<std::string_view> GrantMap::entitlements_of(
    const Identifier& identifier) const {
  auto line = by_identifier_.find(identifier);
  if (line != by_identifier_.end()) {
    return {line->second.begin(), line->second.end()};
  }
  std::string_view name = namesake(identifier);
  if (name.empty()) return {};
  return {name};
}

bool GrantMap::knows(const Identifier& identifier) const {
  return others_.contains(identifier) || !entitlements_of(identifier).empty();
}

std::vector<Identifier> GrantMap::identifiers() const {
  std::vector<Identifier> all;
  for (const auto& [identifier, names] : by_identifier_) {
    all.push_back(identifier);
  }
  return all;
}

bool GrantMap::gives(const Identifier& identifier,
                     std::string_view entitlement) const {
  auto line = by_identifier_.find(identifier);
  if (line == by_identifier_.end()) {
    return !entitlement.empty() && namesake(identifier) == entitlement;
  }
  return std::binary_search(line->second.begin(), line->second.end(),
                            entitlement);
}

bool GrantMap::names(std::string_view entitlement) const {
  return std::any_of(by_identifier_.begin(), by_identifier_.end(),
                     [=](const auto& line) {
                       return std::binary_search(
                           line.second.begin(), line.second.end(), entitlement);
                     });
}

}  // namespace entitle
