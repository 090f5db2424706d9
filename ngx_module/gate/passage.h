// Who was let in by their edge session is let in again by the same bytes, while
// all that depends on stands: the worker remembers it (core/access/memory.h),
// and neither the session nor the record is read anew.
//
// Remembered under: the location; the one Cookie line, whole; the host, where
// it is bound to; what the variables of entitle_session_bind,
// entitle_reauth_key and entitle_require say. That is all a gate reads of a
// request that has an edge session, and all that differs between two that are
// remembered apart.
//
// It ends, at the very next request:
//
//   with what the time ends    the session, its recheck time, what was bought:
//                              [from, until), so also when the clock goes back
//   with what the time begins  a paused collection that resumes
//   with what ends the record  a change, the lease, another Redis: the record
//                              is believed by the same rules as in the zone
//                              (RecordCache::stands)
//   with the configuration     the memory is the worker's, and goes with it
//
// and after ten seconds, so that the zone knows who is asked for. Nothing is
// remembered but that somebody was let in by a record of the zone: no refusal,
// nothing that the app has just said, no one known otherwise than by an edge
// session, nobody of a request with two sessions or two Cookie lines.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/access/decision.h"
#include "core/access/memory.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

class Order;

struct Passage {
    User user;
    std::int64_t version;  // of the record
    Ruling ruling;         // allow
    FoundRecord record;
    UnixTime from, until;
    std::optional<UnixTime> issued_at;  // of the session
    // As an app is told them.
    std::string version_text;
    std::string entitlements;
};

// What a passage would be remembered under here. Null: nothing is remembered
// of this request. Views of the request and its pool.
std::optional<Evidence> passage_evidence(ngx_http_request_t* r);

// Null: none is known that still stands.
std::shared_ptr<const Passage> recall_passage(ngx_http_request_t* r,
                                              const Evidence& evidence);
// If it may be: `ruling` is what the order came to, from the zone and from
// nothing but `evidence`.
void remember_passage(ngx_http_request_t* r, const Evidence& evidence,
                      const Order& order, const Ruling& ruling);

}  // namespace entitle::ngx
