// The keys in a server's entitle_session_key_file.
#pragma once

#include <string>
#include <vector>

#include "cli/conf/site.h"

namespace entitle::cli {

// Throws Stop where one cannot be read.
std::vector<std::string> session_keys_of(const Server& server);

}  // namespace entitle::cli
