// entitle_redirect: a content handler, so that it answers after the gate
// (`return` would before it). Made for Payment Links that carry who buys.

#include "ngx_module/edge.h"
#include "ngx_module/gate/browser.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/seldom.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

namespace {

// Whoever pays must be known: a purchase without a name helps nobody.
bool
buyer_is_named(ngx_http_request_t* r) {
    ngx_str_t name = ngx_string("entitle_client_reference_id");
    const ngx_http_variable_value_t* value =
        ngx_http_get_variable(r, &name, ngx_hash_key(name.data, name.len));
    return value != nullptr && !value->not_found && value->len != 0;
}

ngx_int_t
redirect(ngx_http_request_t* r) {
    const Redirect& target = *location_conf(r)->redirect;
    if (target.names_buyer && !buyer_is_named(r)) {
        if (knows_browsers(r) && is_foreign_form(r)) {
            return NGX_HTTP_FORBIDDEN;
        }
        static Seldom seldom;
        seldom.error(r->connection->log,
                     "entitle: $entitle_client_reference_id is empty: nobody "
                     "is sent to buy without a name");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ngx_str_t url;
    if (ngx_http_complex_value(r, target.url, &url) != NGX_OK) {
        return NGX_ERROR;
    }
    if (!is_location(view(url))) {
        static Seldom seldom;
        seldom.error(r->connection->log,
                     "entitle: entitle_redirect is empty or has control "
                     "bytes for this request");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return set_location(r, url) == NGX_OK ? target.status : NGX_ERROR;
}

}  // namespace

ngx_int_t
redirect_handler(ngx_http_request_t* r) noexcept {
    return edge::request(r, "the redirect failed", [=] { return redirect(r); });
}

}  // namespace entitle::ngx
