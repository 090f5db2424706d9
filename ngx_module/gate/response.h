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

#include <memory>
#include <optional>

#include "core/access/decision.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/gate/passage.h"

namespace entitle::ngx {

// A part of the gate, wanted by the log.
struct Response {
    // Let in, and then ended: why.
    std::optional<Reason> cut;

    // By which it is decided, if it is.
    const Ruling&
    ruling() const {
        return metered ? *metered : passage ? passage->ruling : found;
    }

    void
    decide(Ruling by) {
        found = std::move(by);
        passage.reset();
        metered.reset();
        decided = true;
    }
    // Another location looks anew; until it knows, nobody is known.
    void
    look_anew() {
        if (passage) {
            decide(passage->ruling);
        }
    }

    Ruling found;
    std::shared_ptr<const Passage> passage;  // instead: as before
    std::optional<Ruling> metered;  // let in, and then not for want of credits
    bool decided = false;
    bool refused = false;    // once refused, error pages are refusals too
    bool preflight = false;  // let through unasked: its response has no body

    void
    leave() noexcept {}
};

// All that is effective, as apps and logs are told.
std::string entitlements_text(const Ruling& ruling);

// Null: the request is not decided about, so far.
const Response* response_decided(const Gate* gate);

// Who a decided request is from, and by what record that was decided.
struct Known {
    const User* user = nullptr;           // null: nobody is known
    std::optional<std::int64_t> version;  // null: nor is the record
    CacheUse use = CacheUse::none;
};
Known known_of(const Gate* gate);

// Let in, and it waited for its credits.
ngx_int_t respond_metered(ngx_http_request_t* r, Gate* gate);
// Once its ruling was found; what the access handler returns.
ngx_int_t respond(ngx_http_request_t* r, Gate* gate, Ruling ruling);
// Let in as before.
ngx_int_t respond(ngx_http_request_t* r,
                  std::shared_ptr<const Passage> passage);
// That it cannot be told, whatever the location lets pass then.
ngx_int_t respond_trouble(ngx_http_request_t* r, Gate* gate);

inline bool
polled(ngx_http_request_t* r) {
    return location_conf(r)->poll != 0;
}

// --- gate/request_headers.cc ------------------------------------------------

// For the app: removes X-Entitle-* and sets ours, where known.
ngx_int_t set_request_headers(ngx_http_request_t* r, const Gate* gate);
// X-Entitle-Credits, once they are taken.
ngx_int_t set_credits_header(ngx_http_request_t* r, std::int64_t left);

}  // namespace entitle::ngx
