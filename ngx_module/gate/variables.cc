// $entitle_*: for log_format, map, add_header, proxy_set_header, limit_req_zone
// and whatever else takes variables. Never cached by nginx: they change while
// the request goes on.

#include "core/http/return_url.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

namespace {

// A variable's text; null: it has none.
using Value = std::optional<std::string>;
using ValueOf = Value (*)(ngx_http_request_t* r);

// The gate of a request it has decided about.
const Gate*
decided(ngx_http_request_t* r) {
    const Gate* gate = gate_of(r);
    return gate != nullptr && gate->decided ? gate : nullptr;
}

// Decided: who it is for certain. Before: what a valid session says.
const User*
user_of(ngx_http_request_t* r) {
    if (const Gate* gate = decided(r)) {
        // While another location looks anew who it is, nobody is known.
        return gate->identity.user &&
                       (gate->stage == Gate::Stage::known ||
                        gate->ruling.decision == Decision::allow_unverified)
                   ? &*gate->identity.user
                   : nullptr;
    }
    if (r != r->main || !gated(r)) {
        return nullptr;
    }
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        throw std::bad_alloc();
    }
    if (gate->stage == Gate::Stage::identify) {
        identify(r, gate);
    }
    return gate->identity.user ? &*gate->identity.user : nullptr;
}

Value
user(ngx_http_request_t* r) {
    const User* user = user_of(r);
    return user == nullptr ? Value{} : user->str();
}

Value
version(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    if (gate == nullptr || gate->stage != Gate::Stage::known) {
        return {};
    }
    return std::to_string(gate->record.standing.version);
}

Value
decision(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    return gate == nullptr ? Value{} : std::string(name(gate->ruling.decision));
}

Value
reason(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    return gate == nullptr ? Value{} : std::string(name(gate->ruling.reason));
}

Value
entitlements_text(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    if (gate == nullptr) {
        return {};
    }
    std::string text;
    for (const std::string& name : gate->ruling.entitlements) {
        text += (text.empty() ? "" : ",") + name;
    }
    return text;
}

Value
until(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    if (gate == nullptr ||
        (gate->ruling.decision != Decision::allow &&
         gate->ruling.decision != Decision::allow_stale) ||
        gate->ruling.until == kForever) {
        return {};
    }
    return std::to_string(to_unix(gate->ruling.until));
}

// How the record was come by; empty where none was needed.
Value
cache(ngx_http_request_t* r) {
    const Gate* gate = decided(r);
    if (gate == nullptr || gate->stage != Gate::Stage::known) {
        return {};
    }
    switch (gate->record.use) {
        case CacheUse::hit:
            return "HIT";
        case CacheUse::miss:
            return "MISS";
        case CacheUse::stale:
            return "STALE";
        case CacheUse::bypass:
            return "BYPASS";
        case CacheUse::none:
            break;
    }
    return {};
}

Value
return_url_text(ngx_http_request_t* r) {
    return return_url(view(r->main->unparsed_uri));
}

Value
client_reference_id(ngx_http_request_t* r) {
    const ClientReference* reference = server_conf(r)->reference;
    const User* user = reference == nullptr ? nullptr : user_of(r);
    return user == nullptr ? Value{} : reference->make(*user);
}

ngx_int_t
give(ngx_http_request_t* r, ngx_http_variable_value_t* v,
     uintptr_t data) noexcept {
    try {
        const Value value = reinterpret_cast<ValueOf>(data)(r);
        if (!value) {
            v->not_found = 1;
            return NGX_OK;
        }
        const ngx_str_t copy = pool_copy(r->pool, *value);
        if (copy.data == nullptr) {
            return NGX_ERROR;
        }
        v->data = copy.data;
        v->len = static_cast<unsigned>(copy.len) & 0x0fffffff;
        v->valid = 1;
        v->no_cacheable = 1;
        v->not_found = 0;
        return NGX_OK;
    } catch (const std::exception&) {
        return NGX_ERROR;
    }
}

// `data` is the offset in WebhookVars.
ngx_int_t
give_webhook(ngx_http_request_t* r, ngx_http_variable_value_t* v,
             uintptr_t data) noexcept {
    const WebhookVars* known = webhook_vars(r->main);
    const auto* text = reinterpret_cast<const ngx_str_t*>(
        reinterpret_cast<const char*>(known) + data);
    if (known == nullptr || text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }
    v->data = text->data;
    v->len = static_cast<unsigned>(text->len) & 0x0fffffff;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    return NGX_OK;
}

struct Definition {
    ngx_str_t name;
    ngx_http_get_variable_pt handler;
    uintptr_t data;
};

Definition
gate_variable(std::string_view name, ValueOf value) {
    return {str(name), give, reinterpret_cast<uintptr_t>(value)};
}

Definition
webhook_variable(std::string_view name, std::size_t offset) {
    return {str(name), give_webhook, offset};
}

}  // namespace

ngx_int_t
add_variables(ngx_conf_t* cf) noexcept {
    const Definition definitions[] = {
        gate_variable("entitle_user", user),
        gate_variable("entitle_version", version),
        gate_variable("entitle_decision", decision),
        gate_variable("entitle_reason", reason),
        gate_variable("entitle_entitlements", entitlements_text),
        gate_variable("entitle_until", until),
        gate_variable("entitle_cache", cache),
        gate_variable("entitle_return_url", return_url_text),
        gate_variable("entitle_client_reference_id", client_reference_id),
        webhook_variable("entitle_event_id", offsetof(WebhookVars, event_id)),
        webhook_variable("entitle_event_type",
                         offsetof(WebhookVars, event_type)),
        webhook_variable("entitle_customer", offsetof(WebhookVars, customer)),
        webhook_variable("entitle_outcome", offsetof(WebhookVars, outcome)),
    };
    for (const Definition& definition : definitions) {
        ngx_str_t name = definition.name;
        ngx_http_variable_t* variable =
            ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
        if (variable == nullptr) {
            return NGX_ERROR;
        }
        variable->get_handler = definition.handler;
        variable->data = definition.data;
    }
    return NGX_OK;
}

}  // namespace entitle::ngx
