// Where nginx enters the gate: its phases, the content of its roles, its
// variables.
#pragma once

#include "ngx_module/nginx.h"

namespace entitle::ngx {

ngx_int_t gate_handler(ngx_http_request_t* r) noexcept;   // access phase
ngx_int_t logout_access(ngx_http_request_t* r) noexcept;  // likewise
ngx_int_t strip_handler(ngx_http_request_t* r) noexcept;  // post read phase
ngx_int_t strip_refused_handler(ngx_http_request_t* r) noexcept;  // rewrite
ngx_int_t redirect_handler(ngx_http_request_t* r) noexcept;       // content
ngx_int_t poll_handler(ngx_http_request_t* r) noexcept;           // content
ngx_int_t logout_handler(ngx_http_request_t* r) noexcept;         // content

ngx_int_t add_gate_variables(ngx_conf_t* cf) noexcept;

}  // namespace entitle::ngx
