// A response under way ends when its access does: entitle_live.
//
//   _live        a request that was let in is watched; a logout is told
//   _live_room   the worker's list of what is watched, by user: what is asked
//                again, when, and what has to end
//   _live_cut    ending one
//   _live_ends   what sessions ended, for all workers of a node
//
// Who was let in is watched from then on, in the same turn of the event loop:
// by what is known of changes at that moment they are let in, and whatever is
// heard after it finds them on the list.
#pragma once

#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// Let in, for now. Throws std::bad_alloc.
void live_watch(ngx_http_request_t* r, Gate* gate);

// The answer clears this browser's session: whatever else is under way for it,
// or for all of its user's sessions where that was asked, ends.
void live_log_out(ngx_http_request_t* r) noexcept;

}  // namespace entitle::ngx
