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

// Those of them whose gates read what is kept in this mode: what they grant is
// what it opens. Where no gate does, all of them.
std::vector<const ServerConf*> readers_of(const PrefixServers& one, Mode mode);

// What all servers that read the keys of this webhook have grants for: a
// purchase that lets somebody in at one of them is no stranger at another.
const GrantMap& shared_grants(ngx_http_request_t* r);

}  // namespace entitle::ngx
