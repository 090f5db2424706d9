// What Redis keeps of the places that one page of Stripe's answers is about,
// read with as few questions as possible.
#pragma once

#include <map>
#include <set>
#include <string>

#include "cli/kept/context.h"
#include "core/record/place.h"
#include "core/source/source.h"

namespace entitle::cli {

struct Kept {
  std::string id;        // of the place where its facts are kept in the end
  Place place;           // that one
  bool readable = true;  // false: that, or a record of it, cannot be read
  // Of the records of all whose any of it is or may be, and what waits.
  Sources sources;
};

// By place. One that is nowhere is there, too, and empty.
std::map<std::string, Kept> read_kept(const Context& context,
                                      const std::set<std::string>& places);

}  // namespace entitle::cli
