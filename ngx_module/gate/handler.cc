// The access phase, the last of nginx's access handlers: what was found out,
// what that means here, and what the client is told.

#include <utility>

#include "ngx_module/edge.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/meter.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/passage.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/gate/ruling.h"
#include "ngx_module/gate/wait.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

// A browser asks without credentials whether it may send them (Fetch standard,
// section 4.8): only the app knows.
bool
is_preflight(ngx_http_request_t* r) {
    if (r->method != NGX_HTTP_OPTIONS) {
        return false;
    }
    // Both say something, and nothing goes along that a preflight never has: a
    // body or a tunnel.
    bool origin = false, method = false, more = false;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        origin |= is_named(header, "Origin") && header.value.len != 0;
        method |= is_named(header, "Access-Control-Request-Method") &&
                  header.value.len != 0;
        more |= is_named(header, "Upgrade");
    });
    return origin && method && !more && r->headers_in.content_length_n <= 0 &&
           r->headers_in.chunked == 0;
}

ngx_int_t
let_preflight(ngx_http_request_t* r) {
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    gate->part<Response>().preflight = true;
    return NGX_OK;
}

ngx_int_t
access(ngx_http_request_t* r) {
    if (!gated(r)) {
        return NGX_DECLINED;
    }
    if (Gate* gate = gate_of(r); meter_is_under_way(gate)) {
        return respond_metered(r, gate);
    }
    const bool preflight = location_conf(r)->preflight != 0 && is_preflight(r);
    if (let_go_of_body(r) != NGX_OK) {
        return NGX_ERROR;
    }
    if (preflight) {
        return let_preflight(r);
    }
    const std::optional<Evidence> evidence = passage_evidence(r);
    if (evidence) {
        if (auto passage = recall_passage(r, *evidence)) {
            return respond(r, std::move(passage));
        }
    }
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    if (auto* response = gate->find<Response>()) {
        response->look_anew();
    }
    Ruling ruling;
    const ngx_int_t rc = polled(r) ? find_ruling(r, gate, ruling)
                                   : wait_for_ruling(r, gate, ruling);
    if (rc == NGX_OK && ruling.decision == Decision::allow &&
        !ruling.entitlements.empty()) {
        gate->find<Order>()->renew_browser(r);
    }
    if (rc == NGX_OK && evidence) {
        // Nobody is refused because there is no memory for that.
        edge::event("an answer is not remembered", [&] {
            remember_passage(r, *evidence, *gate->find<Order>(), ruling);
        });
    }
    return rc == NGX_OK ? respond(r, gate, std::move(ruling)) : rc;
}

}  // namespace

ngx_int_t
gate_handler(ngx_http_request_t* r) noexcept {
    return edge::request(r, "the gate failed", [=] { return access(r); });
}

}  // namespace entitle::ngx
