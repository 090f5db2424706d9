// Answers the module makes itself.
#pragma once

#include <string_view>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

// Sends a whole answer from the module itself (JSON of webhooks, problem JSON)
// and returns what the handler must return. Never runs error_page.
ngx_int_t send_json(ngx_http_request_t* r, ngx_uint_t status,
                    std::string_view content_type,
                    std::string_view body) noexcept;

}  // namespace entitle::ngx
