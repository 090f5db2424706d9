// What a gate needs of where a user stands, however much was bought: of each
// identifier that some grant knows, what can decide about it. So what is cached
// of a user is bounded by what the grants know, not by the purchases.
#pragma once

#include <cstdint>
#include <set>

#include "core/access/grants.h"
#include "core/access/standing.h"
#include "core/source/identifier.h"

namespace entitle {

// The identifiers that grants know: those of every server that shares a cache.
class KnownIdentifiers {
 public:
  void add(const GrantMap& grants);
  bool has(const Identifier& identifier) const;
  // Of what was added; 0: of nobody's. What was condensed by one of another
  // fingerprint lacks what this one knows.
  std::uint64_t fingerprint() const;

 private:
  std::set<Identifier> known_;
};

// Decides as `standing` does, whatever the policy and the time, about all that
// `known` has: the same entitlements until the same ends, and refusals for the
// same reasons. Sources lose their ids, and their ambiguity.
Standing condense(const Standing& standing, const KnownIdentifiers& known);

}  // namespace entitle
