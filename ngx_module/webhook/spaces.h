// Who shares keys in Redis: the servers of each prefix. Each has them in both
// modes.
#pragma once

#include <string>
#include <vector>

#include "ngx_module/settings.h"

namespace entitle::ngx {

struct PrefixServers {
    std::string prefix;
    std::vector<const ServerConf*> servers;  // at least one
};

// Of the running configuration, in its order.
std::vector<PrefixServers> servers_by_prefix();

}  // namespace entitle::ngx
