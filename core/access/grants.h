// `entitle_grant`: which entitlements a purchase gives.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/source/identifier.h"

namespace entitle {

// `entitle_grant` lines: entitlement name -> identifiers that give it.
// `feature=x` and `metadata=x` give x unless a line names them.
class GrantMap {
 public:
  void add(std::string_view entitlement, Identifier identifier);
  void add(const GrantMap& other);
  // Sorted, unique; empty: no grant knows this identifier. Views into the map
  // or into the identifier.
  std::vector<std::string_view> entitlements_of(const Identifier&) const;
  bool gives(const Identifier& identifier, std::string_view entitlement) const;
  // Whether some line gives it, whatever its namesakes do.
  bool names(std::string_view entitlement) const;
  // What gives something else than an entitlement: it opens something, too.
  void also_knows(const Identifier& identifier) { others_.insert(identifier); }
  bool knows(const Identifier& identifier) const;
  bool empty() const { return by_identifier_.empty(); }  // there is no line
  std::vector<Identifier> identifiers() const;  // that lines name; sorted

 private:
  std::map<Identifier, std::vector<std::string>, std::less<>> by_identifier_;
  std::set<Identifier> others_;
};

}  // namespace entitle
