#include "ngx_module/http/client.h"

#include <string_view>

namespace entitle::ngx {

bool
certificate_refused([[maybe_unused]] ngx_http_request_t* r,
                    [[maybe_unused]] bool demanded) noexcept {
#if (NGX_HTTP_SSL)
    if (!demanded || r->connection->ssl == nullptr) {
        return false;
    }
    // nginx's own word, OCSP and CRLs included.
    ngx_str_t name = ngx_string("ssl_client_verify");
    const ngx_uint_t key = ngx_hash_key(name.data, name.len);
    const ngx_http_variable_value_t* verified =
        ngx_http_get_variable(r, &name, key);
    return verified != nullptr && verified->not_found == 0 &&
           std::string_view(reinterpret_cast<const char*>(verified->data),
                            verified->len)
               .starts_with("FAILED");
#else
    return false;
#endif
}

}  // namespace entitle::ngx
