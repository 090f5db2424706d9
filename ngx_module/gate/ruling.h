// What a location makes of what was found out.
#pragma once

#include "core/access/decision.h"
#include "core/access/memory.h"
#include "ngx_module/gate/order.h"

namespace entitle::ngx {

// Whether add_required_variables() asks any variable.
bool requires_by_variables(ngx_http_request_t* r);
// What the variables of entitle_require ask for here; the rest of it is the
// location's.
void add_required_variables(ngx_http_request_t* r, Evidence& evidence);

// Once the order has found out.
Ruling rule(ngx_http_request_t* r, const Order& order);
// Finds out first. NGX_OK: `ruling`. Anything else is what an access handler
// returns.
ngx_int_t find_ruling(ngx_http_request_t* r, Gate* gate, Ruling& ruling);

}  // namespace entitle::ngx
