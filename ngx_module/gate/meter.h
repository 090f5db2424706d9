// A request that takes credits (entitle_meter): before it is served, and back
// again if the app's answer says so or the client was never answered.
#pragma once

#include <optional>
#include <string>

#include "core/access/decision.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// What became of it.
enum class Metered {
    passes,   // paid, or nothing is to pay
    waits,    // the gate is woken
    refused,  // `ruling` says why
};

// Of a request that is let in here. Asked again once it was woken.
Metered meter_pass(ngx_http_request_t* r, Gate* gate, Ruling& ruling);
// Whether it waits for credits, or was woken with an answer.
bool meter_is_under_way(const Gate* gate);

// What is said of a metered request. Null: it is none, or nothing is known.
struct MeterView {
    std::string name;
    std::int64_t put = 0;
    std::int64_t left = 0;
    std::optional<UnixTime> comes_back;
    std::optional<Seconds> window;
};
const MeterView* meter_view(const Gate* gate);

// On the way out: reads and removes X-Entitle-Cost of the app's answer, adds
// RateLimit and RateLimit-Policy.
ngx_int_t meter_filter(ngx_http_request_t* r, Gate* gate);

}  // namespace entitle::ngx
