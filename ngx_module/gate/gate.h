// One main request at a gate: its life, how it waits and is woken, and its
// parts, which are what the features know of it.
//
//   _order     who is asking, and what the record gives: the order of the
//              questions, which these answer:
//     _identity     what the request carries: edge session, trusted variable;
//                   _binding is what a session is bound to
//     _jwt          the app's JWT; _jwt_keys fetches the keys
//     _app_session  the app's own session in Redis
//     _lookup       the record, from the worker's cache
//     _reauth       the app, asked once for all requests alike (_alike);
//                   _question is the subrequest, _app_answer reads what came
//                   back, _email_claim takes what waits under an e-mail
//     _browser      of whom nobody is known: the browser, which may have
//     bought;
//                   _order_browser is when, _hand_over what becomes of that
//                   when a user is known
//   _ruling    what that means here
//   _wait      a ruling that may get better is waited for
//   _meter     what it costs is taken of an account, _purse is the worker's
//   _response  the ruling as the client sees it; _request_headers as the app
//              does, _filter on the way out, _variables for the log
//   _handler   the access phase: these in a row
//   _poll, _redirect, _logout   what responds behind a gate, or beside it
#pragma once

#include <type_traits>

#include "ngx_module/gate/parts.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// Lives in the main request's pool, from the first time it is asked for.
struct Gate {
    explicit Gate(ngx_http_request_t* main);

    // Null: there is none yet.
    template <class T>
    T*
    find() const noexcept {
        return parts.find<T>();
    }
    // Made at its first use, of the gate if it wants that. Throws what its
    // constructor throws, or std::bad_alloc.
    template <class T>
    T&
    part() {
        T* known = parts.find<T>();
        if (known != nullptr) {
            return *known;
        }
        if constexpr (std::is_constructible_v<T, Gate*>) {
            return parts.make<T>(this);
        } else {
            return parts.make<T>();
        }
    }

    ngx_http_request_t* request;  // the main one
    ngx_event_t wake{};           // posted to resume; see gate_wake
    ngx_http_cleanup_t* end = nullptr;
    Parts parts;
};

// The gate of this request's main request; null if nobody asked before.
Gate* gate_of(ngx_http_request_t* r);
Gate* gate_make(ngx_http_request_t* r);  // null: no memory
// Runs the request's phases again, soon, from the event loop: safe to call
// from inside anybody's handler. Twice is once.
void gate_wake(Gate* gate) noexcept;
// Waits for gate_wake; what an access handler returns.
ngx_int_t gate_suspend(ngx_http_request_t* r);

inline bool  // entitle on or optional here
gated(ngx_http_request_t* r) {
    return location_conf(r)->gated();
}

inline UnixTime
now() {
    return unix_time(ngx_time());
}

}  // namespace entitle::ngx
