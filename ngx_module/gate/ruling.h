// What a location makes of what was found out.
#pragma once

#include <span>
#include <vector>

#include "core/access/decision.h"
#include "core/access/memory.h"
#include "ngx_module/gate/order.h"

namespace entitle::ngx {

// What `location` requires of this request, its variables as they are now.
// Views of the configuration, of the request and its pool.
std::vector<Alternatives> required_lines(ngx_http_request_t* r,
                                         const LocationConf* location);
// What a record that was looked up gives of that now, by the grants of the
// request's server.
Ruling rule_by_record(ngx_http_request_t* r, const RecordLookup& record,
                      std::span<const Alternatives> lines);

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
