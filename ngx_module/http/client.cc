#include "ngx_module/http/client.h"

#include <string_view>

namespace entitle::ngx {

ngx_int_t
let_go_of_body(ngx_http_request_t* r) noexcept {
    if (r != r->main || r->discard_body == 0) {
        return NGX_OK;
    }
    // An empty one, so that nobody begins to read or to throw away.
    if (r->request_body == nullptr) {
        r->request_body = static_cast<ngx_http_request_body_t*>(
            ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t)));
        if (r->request_body == nullptr) {
            return NGX_ERROR;
        }
    }
    r->headers_in.content_length_n = 0;
    r->headers_in.chunked = 0;
    // What still comes is no request.
    r->keepalive = 0;
    r->lingering_close = 1;
    // What the reader had of the request.
    r->discard_body = 0;
    r->count--;
    r->lingering_time = 0;
    r->read_event_handler = ngx_http_block_reading;
    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }
    return NGX_OK;
}

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
