// What the client is told, in the way the asker understands:
//
//                       a navigation                  anything else
//   not logged in       302 to entitle_login_url,     401 and problem JSON
//                       else 401
//   not entitled        402 through error_page        402 and problem JSON
//   cannot be told      503 through error_page        503 and problem JSON
//
// A person's form has the status of the right column, with a page: that of
// error_page or, where there is none or it means another status, a small one.
#pragma once

#include "core/access/decision.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// A part of the gate, wanted by the log.
struct Response {
    Ruling ruling;
    bool decided = false;    // by that
    bool refused = false;    // once refused, error pages are refusals too
    bool preflight = false;  // let through unasked: its response has no body

    void
    leave() noexcept {}
};

// Null: the request is not decided about, so far.
const Response* response_decided(const Gate* gate);

// Once its ruling was found; what the access handler returns.
ngx_int_t respond(ngx_http_request_t* r, Gate* gate, Ruling ruling);
// That it cannot be told, whatever the location lets pass then.
ngx_int_t respond_trouble(ngx_http_request_t* r, Gate* gate);

inline bool
polled(ngx_http_request_t* r) {
    return location_conf(r)->poll != 0;
}

// --- gate/request_headers.cc ------------------------------------------------

// For the app: removes X-Entitle-* and sets ours, where known.
ngx_int_t set_request_headers(ngx_http_request_t* r, const Gate* gate);

}  // namespace entitle::ngx
