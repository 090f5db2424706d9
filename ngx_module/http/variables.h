// Variables: for log_format, map, add_header, proxy_set_header, limit_req_zone
// and whatever else takes them. Never cached by nginx: ours change while the
// request goes on.
#pragma once

#include <string_view>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

struct Variable {
    std::string_view name;  // of a literal: nginx keeps it
    ngx_http_get_variable_pt handler;
    uintptr_t data;
};

ngx_int_t add_variable(ngx_conf_t* cf, const Variable& variable) noexcept;

// What a handler gives; null data: it has none.
void give_value(ngx_http_variable_value_t* v, const ngx_str_t& value) noexcept;

}  // namespace entitle::ngx
