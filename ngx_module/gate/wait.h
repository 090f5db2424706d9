// Requests held until their user's record changes: entitle_wait, entitle_poll.
//
// A held request is on the worker's list, under its user. Whoever hears that
// the record changed wakes it, and it looks the record up again, in the order
// that loses nothing: first it is on the list, then it looks. A change before
// that look is seen by it, a change after it wakes.
//
// While Redis does not say what changes (core/redis/lease.h), a held request
// looks about once a second instead, and once more when it is said again, since
// that is another subscription. All requests of a user share a look (_lookup).
//
// One timer a worker ends the waiting: at each request's time, or when the
// worker is told to exit. It is not cancelable, so that nobody is left without
// an answer.
#pragma once

#include "core/crypto/siphash.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

struct Gate;

// What a request keeps of its waiting; part of its Gate. Times are
// ngx_current_msec.
struct Waiting {
    enum class State {
        not_yet,
        listed,
        over,  // a request waits once, wherever it is redirected to
    } state = State::not_yet;
    bool held = false;     // nothing but the list will wake it
    bool changed = false;  // look again
    bool failed = false;   // the newest look
    bool pulse = false;    // pulse_at has come
    Hash128 user{};
    std::uint64_t address = 0;  // of the client; 0: a unix socket
    ngx_msec_t since = 0;
    ngx_msec_t until = 0;
    ngx_msec_t look_at = 0;      // while changes are not heard
    ngx_msec_t pulse_at = 0;     // of an open stream; 0: none
    std::uint64_t heard_by = 0;  // changes_heard() before the newest look
};

// What a request does that would be answered by gate->ruling.
enum class WaitStep {
    answer,
    look,  // gate_settle again, from the record on
    hold,  // until gate_wake
};
WaitStep wait_step(ngx_http_request_t* r, Gate* gate);
// The request goes away.
void wait_leave(Gate* gate) noexcept;

}  // namespace entitle::ngx
