// $entitle_user and what else is known of a request that was asked who it is.

#include "ngx_module/http/variables.h"

#include "core/http/return_url.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/meter.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

// A variable's text; null: it has none.
using Value = std::optional<std::string>;
using ValueOf = Value (*)(ngx_http_request_t* r);

// Null: the request is not decided about, so far.
const Response*
decided(ngx_http_request_t* r) {
    return response_decided(gate_of(r));
}

// Decided: who it is for certain. Before: what a valid session says.
const User*
user_of(ngx_http_request_t* r) {
    if (decided(r) != nullptr) {
        return known_of(gate_of(r)).user;
    }
    if (r != r->main || !gated(r)) {
        return nullptr;
    }
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        throw std::bad_alloc();
    }
    return gate->part<Order>().said(r);
}

// Of whom nobody is known: who was made because somebody is about to buy.
const User*
made_of(ngx_http_request_t* r, bool now) {
    const Gate* gate = gate_of(r);
    auto* order = gate == nullptr || decided(r) == nullptr
                      ? nullptr
                      : gate->find<Order>();
    if (order == nullptr || !order->guest()) {
        return nullptr;
    }
    return now ? order->make_browser(r->main) : order->made_browser();
}

const User*
buyer_of(ngx_http_request_t* r) {
    const User* user = user_of(r);
    return user != nullptr ? user : made_of(r, true);
}

Value
user(ngx_http_request_t* r) {
    const User* known = user_of(r);
    const User* user = known != nullptr ? known : made_of(r, false);
    return user == nullptr ? Value{} : user->str();
}

Value
version(ngx_http_request_t* r) {
    const Known known = known_of(gate_of(r));
    return known.version ? std::to_string(*known.version) : Value{};
}

Value
decision(ngx_http_request_t* r) {
    const Response* response = decided(r);
    if (response == nullptr) {
        return {};
    }
    return std::string(response->cut ? "cut"
                                     : name(response->ruling().decision));
}

Value
reason(ngx_http_request_t* r) {
    const Response* response = decided(r);
    if (response == nullptr) {
        return {};
    }
    return std::string(name(response->cut.value_or(response->ruling().reason)));
}

Value
entitlements(ngx_http_request_t* r) {
    const Response* response = decided(r);
    return response == nullptr ? Value{}
                               : entitlements_text(response->ruling());
}

Value
until(ngx_http_request_t* r) {
    const Response* response = decided(r);
    if (response == nullptr || response->cut ||
        (response->ruling().decision != Decision::allow &&
         response->ruling().decision != Decision::allow_stale) ||
        response->ruling().until == kForever) {
        return {};
    }
    return std::to_string(to_unix(response->ruling().until));
}

// How the record was come by; empty where none was needed.
Value
cache(ngx_http_request_t* r) {
    switch (known_of(gate_of(r)).use) {
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
    const User* user = reference == nullptr ? nullptr : buyer_of(r);
    return user == nullptr ? Value{} : reference->make(*user);
}

Value
credits_left(ngx_http_request_t* r) {
    const MeterView* credits = meter_view(gate_of(r));
    return credits == nullptr ? Value{} : std::to_string(credits->left);
}

ngx_int_t
give(ngx_http_request_t* r, ngx_http_variable_value_t* v,
     uintptr_t data) noexcept {
    return edge::answer("a variable failed", [=]() -> ngx_int_t {
        const Value value = reinterpret_cast<ValueOf>(data)(r);
        ngx_str_t copy = ngx_null_string;
        if (value) {
            copy = pool_copy(r->pool, *value);
            if (copy.data == nullptr) {
                return NGX_ERROR;
            }
        }
        give_value(v, copy);
        return NGX_OK;
    });
}

struct Definition {
    std::string_view name;
    ValueOf value;
};

constexpr Definition kDefinitions[] = {
    {"entitle_user", user},
    {"entitle_version", version},
    {"entitle_decision", decision},
    {"entitle_reason", reason},
    {"entitle_entitlements", entitlements},
    {"entitle_until", until},
    {"entitle_cache", cache},
    {"entitle_credits_left", credits_left},
    {"entitle_return_url", return_url_text},
    {"entitle_client_reference_id", client_reference_id},
};

}  // namespace

ngx_int_t
add_gate_variables(ngx_conf_t* cf) noexcept {
    for (const Definition& definition : kDefinitions) {
        const auto data = reinterpret_cast<uintptr_t>(definition.value);
        if (add_variable(cf, {definition.name, give, data}) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}

}  // namespace entitle::ngx
