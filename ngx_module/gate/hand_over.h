// A user is known whose browser had an id of its own: what it bought becomes
// the user's (core/delivery/hand_over.h). Whatever goes wrong, the request goes
// on; a later one tries again.
//
// A browser that bought nothing costs one look into the record cache, as any
// user does. An id that the record has called in hands nothing over, nor does
// one whose record cannot be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ngx_module/gate/browser.h"

namespace entitle::ngx {

struct Handing {
    bool moved = false;  // something is the user's now
    // What there was may be the user's already, by a request of the same
    // moment: the user's record is to be read again; `just`: it may not have
    // come there yet.
    bool overtaken = false;
    bool just = false;
    bool emptied = false;   // and nothing is left: the id is worth nothing
    std::int64_t from = 0;  // the user's version before that; 0: cannot be told
    std::int64_t to = 0;    // and since
};

// NGX_OK: over, `handing` says what became of it. NGX_AGAIN: under way, the
// gate will be woken. NGX_ERROR: no memory.
ngx_int_t hand_over_browser(ngx_http_request_t* r, Gate* gate,
                            const Browser& browser, const User& user,
                            Handing& handing);

// What it bought is a user's, or comes to be.
void log_handed_over(ngx_log_t* log, const User& browser, const User& user,
                     const std::vector<std::string>& sources);

}  // namespace entitle::ngx
