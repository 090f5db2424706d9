// The entitlements that a configuration knows: what entitle_grant gives and
// entitle_require asks for.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conf/site.h"

namespace entitle::cli {

// Names with a variable in them stand as they are written.
std::set<std::string> known_names(const std::vector<const Server*>& servers,
                                  const GrantMap& grants);

// Whether it is one of them, or what a variable in one of them may make it.
bool is_known_name(const std::set<std::string>& known, std::string_view name);

}  // namespace entitle::cli
