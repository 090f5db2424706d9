// $entitle_event_id and what else is known of a webhook, also while it is
// logged.

#include "ngx_module/http/variables.h"

#include "ngx_module/webhook/handlers.h"
#include "ngx_module/webhook/webhook.h"

namespace entitle::ngx {
namespace {

// `data` is the offset in WebhookVars.
ngx_int_t
give(ngx_http_request_t* r, ngx_http_variable_value_t* v,
     uintptr_t data) noexcept {
    ngx_str_t text = ngx_null_string;
    if (const Webhook* webhook = webhook_of(r)) {
        text = *reinterpret_cast<const ngx_str_t*>(
            reinterpret_cast<const char*>(&webhook->vars) + data);
    }
    if (text.len == 0) {
        ngx_str_null(&text);
    }
    give_value(v, text);
    return NGX_OK;
}

constexpr Variable kVariables[] = {
    {"entitle_event_id", give, offsetof(WebhookVars, event_id)},
    {"entitle_event_type", give, offsetof(WebhookVars, event_type)},
    {"entitle_customer", give, offsetof(WebhookVars, customer)},
    {"entitle_outcome", give, offsetof(WebhookVars, outcome)},
};

}  // namespace

ngx_int_t
add_webhook_variables(ngx_conf_t* cf) noexcept {
    for (const Variable& variable : kVariables) {
        if (add_variable(cf, variable) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}

}  // namespace entitle::ngx
