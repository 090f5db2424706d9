// Who owns what of one place: a pure function of the place's claims
// (Place::owners).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/source/source.h"
#include "core/source/target.h"

namespace entitle {

// Users; or the place that this one is part of, which owns all that is in it.
struct Owners {
  std::optional<Target> rest;  // of what nothing names; null: nobody's yet
  // What is named, and is not the same owner's as the rest. By source.
  std::map<std::string, Target, std::less<>> exceptions;
  // Whose they are is said, and there is no room to keep that: nobody's, yet.
  std::set<std::string, std::less<>> nobodys{};

  bool operator==(const Owners&) const = default;

  // The owner of one source. Null: nobody's yet.
  std::optional<Target> of(std::string_view source) const;
  std::set<Target> all() const;
  // Who loses or gains a source when these become `after`.
  std::set<Target> concerned_by(const Owners& after) const;

  // What of `sources`, which are `place`'s, belongs into the record of one
  // owner: the owner's own and, since it ends everything of the customer, that
  // the customer was deleted.
  Sources share(const Sources& sources, std::string_view place,
                const Target& owner) const;
};

}  // namespace entitle
