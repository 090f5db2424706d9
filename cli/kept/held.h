// What a user has now, as the gate sees it.
#pragma once

#include <string>
#include <vector>

#include "cli/kept/context.h"
#include "core/access/access.h"

namespace entitle::cli {

// Without a configuration, what goes by its own name.
std::vector<Entitlement> held_by(const Context& context, const User& user);
// Their names, for people.
std::vector<std::string> held_names(const Context& context, const User& user);
// Those of the context, or what there is without.
const GrantMap& grants_of(const Context& context);

}  // namespace entitle::cli
