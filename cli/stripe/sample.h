// Events as Stripe would send them about a purchase that nobody made: to see
// what a site makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/source/identifier.h"

namespace entitle::cli {

struct Sample {
  std::string type;
  std::string user;  // empty: the event names nobody
  Identifier identifier;
  UnixTime now{};
};

// Those that can be made.
const std::vector<std::string_view>& sample_types();

// The event's JSON. One user's are about one customer and one subscription or
// session, so that what one event began another can end. Empty: no such type.
std::string sample_event(const Sample& sample);

}  // namespace entitle::cli
