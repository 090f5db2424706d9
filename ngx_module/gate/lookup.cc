// The record of who is asking, from the worker's cache.

#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

ngx_int_t
record_lookup(ngx_http_request_t* r, Gate* gate) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    const ngx_int_t rc =
        record_cache(main_conf(r))
            .lookup(gate->record, {.keys = server->keys,
                                   .space = *server->audience,
                                   .user = &*gate->identity.user,
                                   .lease = location->lease,
                                   .stale = Seconds{location->stale},
                                   .version_awaited = gate->version_awaited,
                                   .of_primary = gate->of_primary});
    if (rc == NGX_DECLINED) {
        gate->trouble = gate->record.trouble;
    }
    return rc;
}

Hash128
record_user(ngx_http_request_t* r, const Gate* gate) {
    return record_cache(main_conf(r))
        .user_of(*server_conf(r)->audience, *gate->identity.user);
}

}  // namespace entitle::ngx
