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

// What the server of a request and all that share its keys have grants for: a
// purchase that lets somebody in at one of them is no stranger at another.
const GrantMap& shared_grants(ngx_http_request_t* r);

}  // namespace entitle::ngx
