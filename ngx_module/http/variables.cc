#include "ngx_module/http/variables.h"

namespace entitle::ngx {

ngx_int_t
add_variable(ngx_conf_t* cf, const Variable& variable) noexcept {
    ngx_str_t name = str(variable.name);
    ngx_http_variable_t* made =
        ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (made == nullptr) {
        return NGX_ERROR;
    }
    made->get_handler = variable.handler;
    made->data = variable.data;
    return NGX_OK;
}

void
give_value(ngx_http_variable_value_t* v, const ngx_str_t& value) noexcept {
    if (value.data == nullptr) {
        v->not_found = 1;
        return;
    }
    v->data = value.data;
    v->len = static_cast<unsigned>(value.len) & 0x0fffffff;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
}

}  // namespace entitle::ngx
