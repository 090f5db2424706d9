// entitle_status: what is known, for whoever is called at night.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

// The directive's setter: ngx_module/conf/content.cc.
char* set_status(ngx_conf_t* cf, ngx_command_t* command, void* conf);

ngx_int_t status_handler(ngx_http_request_t* r) noexcept;  // content

// Whether this location's content is the status: then it is behind no gate.
inline bool
answers_status(const ngx_http_core_loc_conf_t* core) {
    return core->handler == status_handler;
}

}  // namespace entitle::ngx
