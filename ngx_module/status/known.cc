#include "ngx_module/status/known.h"

#include "ngx_module/cache/record_cache.h"
#include "ngx_module/counting.h"

namespace entitle::ngx {

namespace {

// Who has no name of its own is known by where it stands.
std::string
name_of(const ngx_http_core_srv_conf_t* core) {
    if (core->server_name.len != 0) {
        return std::string(view(core->server_name));
    }
    return "line " + std::to_string(core->line);
}

std::vector<ServerSettings>
all_servers() {
    auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    std::vector<ServerSettings> all;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        const auto* conf = static_cast<const ServerConf*>(
            servers[i]->ctx->srv_conf[ngx_http_entitle_module.ctx_index]);
        ServerSettings& server = all.emplace_back();
        server.name = name_of(servers[i]);
        server.prefix = view(conf->prefix);
        server.mode = static_cast<Mode>(conf->mode);
        server.grants = conf->grants;
        server.policy = *conf->policy;
    }
    return all;
}

}  // namespace

Status
status_here(const MainConf* conf) {
    Status status;
    status.now = ngx_time();
    status.nginx = NGINX_VERSION;
    status.worker = ngx_pid;
    status.loaded = conf->loaded;
    status.dry_runs = conf->dry_runs;
    status.servers = all_servers();
    status.waiting = held_by_all(conf);
    status.totals = counted_totals(conf);
    status.hours = conf->counted->hours.read(status.now / 3600, status.totals);
    if (conf->zone != nullptr) {
        const RecordCache* cache = known_record_cache(conf);
        status.gated = true;
        status.hears_changes = cache != nullptr && cache->changes_heard() != 0;
        status.zone_bytes = conf->zone->shm.size;
        status.zone_free = zone_free(conf->zone);
    }
    return status;
}

}  // namespace entitle::ngx
