// Where nginx enters the webhook.
#pragma once

#include "ngx_module/nginx.h"

namespace entitle::ngx {

ngx_int_t webhook_handler(ngx_http_request_t* r) noexcept;  // content

ngx_int_t add_webhook_variables(ngx_conf_t* cf) noexcept;

}  // namespace entitle::ngx
