// The request's body as one piece, exactly as it was received.
#pragma once

#include <string_view>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

// After ngx_http_read_client_request_body(): from memory, from its temporary
// file or from both. `body` lives as long as the request. NGX_OK, NGX_ERROR
// (logged), or NGX_HTTP_REQUEST_ENTITY_TOO_LARGE above `limit` bytes.
ngx_int_t collect_body(ngx_http_request_t* r, std::size_t limit,
                       std::string_view* body) noexcept;

}  // namespace entitle::ngx
