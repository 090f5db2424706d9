// Where Stripe's things are kept: the place of a customer, or the place of a
// session, subscription, payment or invoice.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"

namespace entitle::cli {

struct Thing {
  std::string asked;
  bool known = false;  // Redis holds something of it
  std::string place;   // where it is kept now, through all it is part of
  std::string source;  // empty: all of the place
};

// Whether it is something of Stripe's that is somebody's.
bool is_thing(std::string_view text);

// As many as were asked for. What no key is named after is looked for in all
// records and places, of all of them in one go.
std::vector<Thing> find_things(const Context& context,
                               const std::vector<std::string>& asked);

// The name in the braces of a key of this prefix and mode: "{u:ann}" with
// "u:". Null: the key is another.
std::optional<std::string> name_in_key(const Context& context,
                                       std::string_view key,
                                       std::string_view kind);

}  // namespace entitle::cli
