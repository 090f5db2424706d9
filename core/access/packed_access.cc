#include "core/access/packed_access.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/access/access.h"
#include "core/base/types.h"
#include "core/source/identifier.h"

namespace entitle {
namespace {

constexpr std::size_t kFirstSlots = 64;

// Multiply and fold, eight bytes at a time. Not keyed: what is hashed comes
// out of signed events, and the index is bounded.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

std::uint64_t mix(std::uint64_t hash, std::string_view bytes) {
  std::uint64_t word;
  for (; bytes.size() >= sizeof(word); bytes.remove_prefix(sizeof(word))) {
    std::memcpy(&word, bytes.data(), sizeof(word));
    hash = mix(hash, word);
  }
  word = 0;
  for (char c : bytes) word = word << 8 | static_cast<std::uint8_t>(c);
  return mix(hash, word);
}

std::uint64_t hash_of(const PackedIdentifier& identifier) {
  std::uint64_t hash = mix(identifier.type, identifier.value.size());
  hash = mix(hash, identifier.value);
  return identifier.account.empty() ? hash : mix(hash, identifier.account);
}

}  // namespace

GrantIndex::GrantIndex(const GrantMap& grants)
    : grants_(&grants), slots_(kFirstSlots) {}

std::size_t GrantIndex::slot_of(std::uint64_t hash,
                                const PackedIdentifier& identifier) const {
  std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Known* known = slots_[at].get();
    if (known == nullptr ||
        (known->hash == hash && known->type == identifier.type &&
         known->value == identifier.value &&
         known->account == identifier.account)) {
      return at;
    }
  }
}

void GrantIndex::grow() {
  std::vector<std::unique_ptr<Known>> old(slots_.size() * 2);
  old.swap(slots_);
  for (std::unique_ptr<Known>& known : old) {
    if (!known) continue;
    std::size_t at =
        slot_of(known->hash, {known->type, known->account, known->value});
    slots_[at] = std::move(known);
  }
}

const std::vector<std::string_view>& GrantIndex::names_of(
    const PackedIdentifier& identifier) {
  std::uint64_t hash = hash_of(identifier);
  std::size_t at = slot_of(hash, identifier);
  if (slots_[at]) return slots_[at]->names;

  if (size_ + 1 > slots_.size() / 2) {
    grow();
    at = slot_of(hash, identifier);
  }
  auto known =
      std::make_unique<Known>(Known{hash,
                                    identifier.type,
                                    std::string(identifier.account),
                                    std::string(identifier.value),
                                    Identifier::parse(identifier.str()),
                                    {}});
  if (known->identifier) {
    known->names = grants_->entitlements_of(*known->identifier);
  }
  slots_[at] = std::move(known);
  ++size_;
  return slots_[at]->names;
}

void GrantIndex::make_room() {
  if (size_ < kMaxIdentifiers) return;
  slots_ = std::vector<std::unique_ptr<Known>>(kFirstSlots);
  size_ = 0;
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
  next_begins_ = kForever;
  PackedReader reader(packed);
  PackedSource source;
  while (reader.next(source)) {
    Verdict verdict = judge(source.projection(), *policy_, now);
    if (!verdict.effective) {
      next_begins_ = std::min(next_begins_, verdict.begins);
      continue;
    }
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

UnixTime PackedAccess::unchanged_until() const {
  UnixTime until = next_begins_;
  for (const HeldEntitlement& entitlement : held_) {
    until = std::min(until, entitlement.until);
  }
  return until;
}

std::optional<UnixTime> allowed_until(std::span<const Alternatives> lines,
                                      std::span<const HeldEntitlement> held) {
  UnixTime all = kForever;
  for (const Alternatives& line : lines) {
    std::optional<UnixTime> line_until;
    for (const HeldEntitlement& entitlement : held) {
      if (!is_entitlement_name(entitlement.name)) continue;
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
