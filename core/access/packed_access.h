// What a packed record gives at a moment: core/access/access.h's
// entitlements(), and the `allow` of core/access/decision.h's decide(), for the
// gate's hot path. Once the identifiers in use have been seen nothing is
// allocated. Refusals are rare and need reasons: unpack() and decide() give
// them.
//
// One per worker and configuration, since it learns as it goes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/access/packed_record.h"
#include "core/access/policy.h"
#include "core/access/requirement.h"
#include "core/base/types.h"
#include "core/source/identifier.h"

namespace entitle {

struct HeldEntitlement {
  std::string_view name;
  UnixTime until;  // the latest of what gives it
};

// The entitlements each identifier gives, as `grants` says, remembered under
// its packed form. Not longer-lived than `grants`.
class GrantIndex {
 public:
  // Strangers cannot grow it: at this many identifiers it starts over.
  static constexpr std::size_t kMaxIdentifiers = 4096;

  explicit GrantIndex(const GrantMap& grants);

  // Valid until make_room(). Nothing for what is no identifier.
  const std::vector<std::string_view>& names_of(
      const PackedIdentifier& identifier);
  void make_room();
  std::size_t size() const { return size_; }

 private:
  struct Known {
    std::uint64_t hash;
    std::uint8_t type;
    std::string account, value;
    std::optional<Identifier> identifier;  // names may be views into it
    std::vector<std::string_view> names;
  };

  // Where this identifier is, or would be: open addressing, linear probing.
  std::size_t slot_of(std::uint64_t hash,
                      const PackedIdentifier& identifier) const;
  void grow();

  const GrantMap* grants_;
  std::vector<std::unique_ptr<Known>> slots_;  // a power of two, half empty
  std::size_t size_ = 0;
};

class PackedAccess {
 public:
  // Neither is copied.
  PackedAccess(const GrantMap& grants, const Policy& policy)
      : index_(grants), policy_(&policy) {}

  // All that is effective at `now`, by name, sorted; valid until the next
  // call. Null: `packed` cannot be read.
  std::optional<std::span<const HeldEntitlement>> effective(
      std::string_view packed, UnixTime now);

  // Until when the same record gives just what effective() last said: something
  // ends then, or a paused collection resumes.
  UnixTime unchanged_until() const;

  // Whether `entitlement` is effective, and until when. Null: it is not, or
  // `packed` cannot be read.
  std::optional<UnixTime> until(std::string_view packed,
                                std::string_view entitlement, UnixTime now);

 private:
  void hold(std::string_view name, UnixTime until);

  GrantIndex index_;
  const Policy* policy_;
  std::vector<HeldEntitlement> held_;
  UnixTime next_begins_ = kForever;  // of what held_ lacks
};

// Until when what is held meets every line of a location's requirements;
// kForever where there are none. Null: some line is not met.
std::optional<UnixTime> allowed_until(std::span<const Alternatives> lines,
                                      std::span<const HeldEntitlement> held);

}  // namespace entitle
