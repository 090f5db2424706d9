#include "core/delivery/likely_owners.h"

#include <utility>

namespace entitle {

std::optional<User> LikelyOwners::of(const std::string& place) const {
  for (const auto* some : {&young_, &old_}) {
    auto found = some->find(place);
    if (found != some->end()) return found->second;
  }
  return std::nullopt;
}

void LikelyOwners::note(const std::string& place, const User& user) {
  young_.insert_or_assign(place, user);
  if (young_.size() < kMost / 2) return;
  old_ = std::move(young_);
  young_.clear();
}

}  // namespace entitle
