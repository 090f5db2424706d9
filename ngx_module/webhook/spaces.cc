#include "ngx_module/webhook/spaces.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace entitle::ngx {
namespace {

struct GrantsBySpace {
    GrantsBySpace() {
        for (const PrefixServers& one : servers_by_prefix()) {
            for (const Mode mode : {Mode::live, Mode::test}) {
                std::set<const GrantMap*> seen;  // servers inherit them
                for (const ServerConf* server : readers_of(one, mode)) {
                    if (seen.insert(server->grants).second) {
                        grants[{one.prefix, mode}].add(*server->grants);
                    }
                }
            }
        }
    }

    std::map<std::pair<std::string, Mode>, GrantMap> grants;
};

}  // namespace

std::vector<PrefixServers>
servers_by_prefix() {
    auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    std::vector<PrefixServers> all;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        const auto* conf = static_cast<ServerConf*>(
            servers[i]->ctx->srv_conf[ngx_http_entitle_module.ctx_index]);
        const std::string_view prefix = view(conf->prefix);
        auto known = std::find_if(
            all.begin(), all.end(),
            [&](const PrefixServers& one) { return one.prefix == prefix; });
        if (known == all.end()) {
            known = all.insert(all.end(), {std::string(prefix), {}});
        }
        known->servers.push_back(conf);
    }
    return all;
}

std::vector<const ServerConf*>
readers_of(const PrefixServers& one, Mode mode) {
    std::vector<const ServerConf*> readers;
    for (const ServerConf* server : one.servers) {
        if (static_cast<Mode>(server->mode) == mode) {
            readers.push_back(server);
        }
    }
    return readers.empty() ? one.servers : readers;
}

const GrantMap&
shared_grants(ngx_http_request_t* r) {
    const Mode mode = location_conf(r)->webhook == 2 ? Mode::live : Mode::test;
    const auto& known = main_conf(r)->worker->part<GrantsBySpace>().grants;
    const auto shared =
        known.find({std::string(view(server_conf(r)->prefix)), mode});
    return shared == known.end() ? *server_conf(r)->grants : shared->second;
}

}  // namespace entitle::ngx
