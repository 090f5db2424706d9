#include "ngx_module/gate/lookup.h"

namespace entitle::ngx {

ngx_int_t
record_lookup(ngx_http_request_t* r, RecordLookup& lookup, const User& user,
              std::int64_t version_awaited, bool of_primary) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    return record_cache(main_conf(r))
        .lookup(lookup, {.keys = server->keys,
                         .space = *server->audience,
                         .user = &user,
                         .lease = location->lease,
                         .stale = Seconds{location->stale},
                         .version_awaited = version_awaited,
                         .of_primary = of_primary});
}

Hash128
record_user(ngx_http_request_t* r, const User& user) {
    return record_cache(main_conf(r)).user_of(*server_conf(r)->audience, user);
}

}  // namespace entitle::ngx
