#include "core/packed_access.h"

#include <algorithm>
#include <utility>

namespace entitle {
namespace {

std::size_t hash_of(const PackedIdentifier& identifier) {
  std::hash<std::string_view> hash;
  std::size_t mixed = hash(identifier.value) * 8 + identifier.type;
  return identifier.account.empty() ? mixed : mixed ^ hash(identifier.account);
}

}  // namespace

const std::vector<std::string_view>& GrantIndex::names_of(
    const PackedIdentifier& identifier) {
  std::size_t hash = hash_of(identifier);
  auto [first, last] = known_.equal_range(hash);
  for (; first != last; ++first) {
    const Known& known = *first->second;
    if (known.type == identifier.type && known.value == identifier.value &&
        known.account == identifier.account) {
      return known.names;
    }
  }

  auto known =
      std::make_unique<Known>(Known{identifier.type,
                                    std::string(identifier.account),
                                    std::string(identifier.value),
                                    Identifier::parse(identifier.str()),
                                    {}});
  if (known->identifier) {
    known->names = grants_->entitlements_of(*known->identifier);
  }
  return known_.emplace(hash, std::move(known))->second->names;
}

void GrantIndex::make_room() {
  if (known_.size() >= kMaxIdentifiers) known_.clear();
}

void PackedAccess::hold(std::string_view name, UnixTime until) {
  // A user holds a few: a sorted list beats a tree.
  auto at = std::lower_bound(
      held_.begin(), held_.end(), name,
      [](const HeldEntitlement& held, std::string_view wanted) {
        return held.name < wanted;
      });
  if (at == held_.end() || at->name != name) {
    held_.insert(at, {name, until});
  } else {
    at->until = std::max(at->until, until);
  }
}

std::optional<std::span<const HeldEntitlement>> PackedAccess::effective(
    std::string_view packed, UnixTime now) {
  index_.make_room();
  held_.clear();
  PackedReader reader(packed);
  PackedSource source;
  while (reader.next(source)) {
    Verdict verdict = judge(source.projection(), *policy_, now);
    if (!verdict.effective) continue;
    PackedIdentifier identifier;
    while (reader.next(identifier)) {
      for (std::string_view name : index_.names_of(identifier)) {
        hold(name, verdict.until);
      }
    }
  }
  if (!reader.ok()) return std::nullopt;
  return held_;
}

std::optional<UnixTime> PackedAccess::until(std::string_view packed,
                                            std::string_view entitlement,
                                            UnixTime now) {
  if (!effective(packed, now)) return std::nullopt;
  for (const HeldEntitlement& held : held_) {
    if (held.name == entitlement) return held.until;
  }
  return std::nullopt;
}

std::optional<UnixTime> allowed_until(std::span<const Alternatives> lines,
                                      std::span<const HeldEntitlement> held) {
  UnixTime all = kForever;
  for (const Alternatives& line : lines) {
    std::optional<UnixTime> line_until;
    for (const HeldEntitlement& entitlement : held) {
      if (!can_match(entitlement.name)) continue;
      if (std::find(line.begin(), line.end(), entitlement.name) == line.end()) {
        continue;
      }
      line_until =
          std::max(line_until.value_or(entitlement.until), entitlement.until);
    }
    if (!line_until) return std::nullopt;
    all = std::min(all, *line_until);
  }
  return all;
}

}  // namespace entitle
