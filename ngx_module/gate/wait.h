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

#include "core/access/decision.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// find_ruling(), and waits where the location says so and it may get better.
ngx_int_t wait_for_ruling(ngx_http_request_t* r, Gate* gate, Ruling& ruling);

// Of an open stream: who waits is woken when the time has come, too.
void set_pulse(Gate* gate, ngx_msec_t in);
bool has_pulse(const Gate* gate);  // it has come

}  // namespace entitle::ngx
