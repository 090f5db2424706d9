// entitle_status: what is known, for whoever is called at night.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

ngx_int_t status_handler(ngx_http_request_t* r) noexcept;  // content

}  // namespace entitle::ngx
