// Directives about the shared zone: how large it is, and how long what is in
// it counts.

#include <algorithm>

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

constexpr ssize_t kSmallestZone = 64 * 1024;
constexpr ssize_t kSmallestMemory = 64 * 1024;
constexpr ngx_msec_t kLease = 5000;
constexpr time_t kStale = 60;

}  // namespace

char*
set_zone(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->zone_size != NGX_CONF_UNSET_SIZE) {
        return duplicate();
    }
    ngx_str_t& text = arguments(cf)[1];
    const ssize_t size = ngx_parse_size(&text);
    if (size < kSmallestZone) {
        return invalid_value(cf, view(text),
                             "it must be a size of at least 64k, like 8m");
    }
    conf->zone_size = static_cast<std::size_t>(size);
    return NGX_CONF_OK;
}

char*
set_session_memory(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->session_memory != NGX_CONF_UNSET_SIZE) {
        return duplicate();
    }
    ngx_str_t& text = arguments(cf)[1];
    if (view(text) == "off") {
        conf->session_memory = 0;
        return NGX_CONF_OK;
    }
    const ssize_t size = ngx_parse_size(&text);
    if (size < kSmallestMemory) {
        return invalid_value(cf, view(text),
                             "it must be a size of at least 64k, like 4m, or "
                             "off");
    }
    conf->session_memory = static_cast<std::size_t>(size);
    return NGX_CONF_OK;
}

void
merge_cache(const LocationConf* prev, LocationConf* conf) {
    ngx_conf_merge_msec_value(conf->lease, prev->lease, kLease);
    ngx_conf_merge_value(conf->stale, prev->stale, kStale);
    ngx_conf_merge_uint_value(conf->redis_down, prev->redis_down, 0);
    ngx_conf_merge_uint_value(conf->live, prev->live, 0);
}

void
note_gate(ngx_conf_t* cf, const LocationConf* conf) {
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    main->greatest_lease = std::max(main->greatest_lease, conf->lease);
    main->smallest_lease = main->smallest_lease == 0
                               ? conf->lease
                               : std::min(main->smallest_lease, conf->lease);
    main->live = main->live || conf->live != 0;
}

}  // namespace entitle::ngx
