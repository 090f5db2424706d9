// What the files of the gate share: everything known about one main request,
// and the steps from "who is asking" to the answer.
//
//   _identity  who is asking, by what the request carries
//   _gate      the order of the questions; suspend and resume
//   _lookup    the record: from the shared zone, else from Redis
//   _reauth    asking the app, once for all requests alike: _reauth_ask is the
//              subrequest, _reauth_answer reads what came back
//   _wait      until the record changes: entitle_wait, entitle_poll
//   _email_claim  what waits under the e-mail the app vouches for
//   _decision  the answer
//   _poll      entitle_poll, which answers behind the gate
//   _redirect  entitle_redirect, which answers behind the gate
//   _logout    entitle_logout
//   _headers   X-Entitle-* of the request
//   _filter    Set-Cookie and Cache-Control of the answer
//   _variables $entitle_*
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/decision.h"
#include "core/identity/key_refresh.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/wait.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// What the app said when asked. Shared by all requests of one flight.
struct ReauthAnswer {
    enum class Kind { user, guest, failure } kind = Kind::failure;
    std::optional<User> user;
    std::vector<std::string> set_cookies;  // its Set-Cookie headers
    UnixTime asked_at{};
    std::string email;  // of a user, when it is to claim what waits under it
    // The record's version before and after that, when only that raised it.
    std::optional<std::pair<std::int64_t, std::int64_t>> raised;
};

class EmailClaim;   // gate/email_claim.cc
class Logout;       // entitle_logout all: gate/logout.cc
struct Flight;      // requests alike that wait for one answer: gate/reauth.cc
class FetchedKeys;  // of JWTs: ngx_module/gate/jwt.h

// The configuration an identity was found under. After an internal redirect
// into a location with the same settings the identity still stands.
struct IdentitySettings {
    const SessionKeys* keys;
    const std::string* audience;
    const CookieOptions* cookie;
    const Keys* redis_keys;
    const std::vector<BindSource>* bind;
    const ReauthUser* reauth_user;
    const std::vector<ngx_http_complex_value_t*>* reauth_key;
    const Credentials* credentials;
    const u_char* reauth;
    const IdentitySource* source;
    const JwtSettings* jwt;
    time_t recheck;
    bool operator==(const IdentitySettings&) const = default;
};

// Lives in the main request's pool, from the first time it is asked for.
struct Gate {
    explicit Gate(ngx_http_request_t* main);

    ngx_http_request_t* request;  // the main one
    ngx_event_t wake{};           // posted to resume; see gate_wake

    // Who, and what the record gives. `stage` is the next question.
    enum class Stage {
        identify,
        fetch_keys,
        read_app_session,
        read_record,
        reauthenticate,
        known,    // identity.user, with `record`
        guest,    // identity.why
        trouble,  // `trouble`
    } stage = Stage::identify;
    std::optional<IdentitySettings> settings;
    bool identifying = false;  // a bind variable may ask for $entitle_user
    Identity identity;
    std::optional<User> unbound;  // of a session that is bound otherwise
    RecordLookup record;          // of identity.user
    Reason trouble = Reason::redis_unreachable;
    // The version the record had before the app was asked.
    struct Before {
        User user;
        std::int64_t version;
    };
    std::optional<Before> before;

    RedisExchange exchange;
    enum class Lookup { none, waiting, done } lookup = Lookup::none;
    RedisStatus lookup_status = RedisStatus::unavailable;

    // Keys of JWTs: what the identity was found with, and the fetch that is
    // waited for.
    KeyNeed key_need = KeyNeed::none;
    std::uint64_t keys_seen = 0;
    bool keys_asked = false;
    bool keys_fresh = false;  // and there are none newer
    FetchedKeys* key_flight = nullptr;

    // The subrequest that asks the app; ours while we lead.
    ngx_http_request_t* subrequest = nullptr;
    bool subrequest_broken = false;
    bool body_complete = false;
    std::string body;  // of the answer, when it is wanted

    // Re-authentication: either leading (the subrequest is ours) or waiting.
    Flight* flight = nullptr;
    UnixTime asked_at{};
    std::shared_ptr<ReauthAnswer> given;  // by the app, not yet to the flight
    std::shared_ptr<EmailClaim> email_claim;
    std::shared_ptr<const ReauthAnswer> answer;
    std::int64_t version_awaited = 0;  // the record is not older than this
    int reread = 0;
    // What is near is known to be behind: only the primary is asked.
    bool of_primary = false;

    Waiting waiting;
    // The answer has begun (entitle_poll): its headers can carry no cookie any
    // more, so the app is not asked again.
    bool streaming = false;
    ngx_buf_t* stream_buf = nullptr;

    std::shared_ptr<Logout> logout;
    bool preflight = false;   // let through unasked: its answer has no body
    bool logged_out = false;  // whatever the answer, our cookie goes

    // The answer to the client.
    bool decided = false;
    bool refused = false;  // once refused, error pages are refusals too
    Ruling ruling;
    std::vector<std::string> app_cookies;  // Set-Cookie of the app's answer
    std::string session_cookie;            // ours; empty: none
};

// The gate of this request's main request; null if nobody asked before.
Gate* gate_of(ngx_http_request_t* r);
Gate* gate_make(ngx_http_request_t* r);  // null: no memory
// Runs the request's phases again, soon, from the event loop: safe to call
// from inside anybody's handler. Twice is once.
void gate_wake(Gate* gate) noexcept;
// Asks Redis by gate->exchange; the gate will be woken, unless it is answered
// already. Only while gate->lookup is none.
void gate_ask(ngx_http_request_t* r, Gate* gate, std::vector<Command> commands);
// True once: gate->lookup_status says how it went.
bool gate_answered(Gate* gate);
bool gated(ngx_http_request_t* r);  // entitle on or optional here
// Goes on until gate->stage is known, guest or trouble: NGX_OK. Anything else
// is what an access handler returns.
ngx_int_t gate_settle(ngx_http_request_t* r, Gate* gate);
// As gate_settle, and waits where the location says so: gate->ruling is what to
// answer.
ngx_int_t gate_rule(ngx_http_request_t* r, Gate* gate);
// Waits for gate_wake; what an access handler returns.
ngx_int_t gate_suspend(ngx_http_request_t* r);
inline UnixTime
now() {
    return unix_time(ngx_time());
}

// --- gate/identity.cc
// -----------------------------------------------------------

IdentitySettings identity_settings(ngx_http_request_t* r);
// Fills gate->identity from what the request carries, without I/O. Forgets
// what was found under other settings first.
void identify(ngx_http_request_t* r, Gate* gate);
// The session cookie for a user the app has just named.
void issue_session(ngx_http_request_t* r, Gate* gate);

// --- gate/lookup.cc ---------------------------------------------------------

// NGX_OK: gate->record is identity.user's. NGX_AGAIN: asked, the gate will be
// woken. NGX_DECLINED: it cannot be told, gate->trouble says why.
ngx_int_t record_lookup(ngx_http_request_t* r, Gate* gate);
// Stands for identity.user, once there was a lookup.
Hash128 record_user(ngx_http_request_t* r, const Gate* gate);

// --- gate/reauth.cc
// -------------------------------------------------------------

// NGX_OK: gate->answer is there. NGX_DECLINED: there is nothing to ask about.
// NGX_AGAIN: asked; the gate will be woken. NGX_ERROR: no memory.
ngx_int_t reauthenticate(ngx_http_request_t* r, Gate* gate);
// The request goes away: others take over its flight.
void reauth_leave(Gate* gate) noexcept;
// Whether `r` is (part of) the gate's subrequest.
bool is_question(const Gate* gate, ngx_http_request_t* r);
inline constexpr std::size_t kMaxAnswerBody = 65536;

struct Question {
    ngx_str_t uri;
    bool wants_body;  // else the headers say it all
};
// The subrequest. NGX_AGAIN: under way, gate->subrequest. NGX_ERROR: no memory,
// or too many subrequests.
ngx_int_t ask(ngx_http_request_t* r, Gate* gate, const Question& question);
// Once that is done.
std::shared_ptr<ReauthAnswer> read_app_answer(ngx_http_request_t* r,
                                              const Gate* gate);

// --- gate/email_claim.cc
// --------------------------------------------------------

// The e-mail in the app's answer; empty: none that could be, or not wanted.
std::string email_in_answer(ngx_http_request_t* r, const Gate* gate);
// True once what waits under the answer's e-mail is claimed, or will not be.
// False: under way, the gate will be woken.
bool claim_email(ngx_http_request_t* r, Gate* gate, ReauthAnswer& answer);

// --- gate/decision.cc
// -----------------------------------------------------------

// What this location decides, once the gate has settled.
Ruling gate_ruling(ngx_http_request_t* r, const Gate* gate);
// Answers by gate->ruling; what the access handler returns.
ngx_int_t gate_answer(ngx_http_request_t* r, Gate* gate);

// Answers that it cannot be told (gate->trouble), whatever the location lets
// pass then.
ngx_int_t gate_fail(ngx_http_request_t* r, Gate* gate);

// --- gate/poll.cc
// ---------------------------------------------------------------

inline bool
polled(ngx_http_request_t* r) {
    return location_conf(r)->poll != 0;
}
// As gate_settle; gate->ruling is what the access phase answers: who has not
// paid goes on to poll_handler, and waits there.
ngx_int_t poll_settle(ngx_http_request_t* r, Gate* gate);
// A ruling as entitle_poll takes it.
Ruling poll_ruling(ngx_http_request_t* r, Ruling ruling);

// --- gate/logout.cc
// -------------------------------------------------------------

// Our cookie is cleared on the answer.
void end_session(ngx_http_request_t* r, Gate* gate);

// --- gate/request_headers.cc
// ------------------------------------------------------------

// Removes X-Entitle-* and sets ours, where known.
ngx_int_t set_request_headers(ngx_http_request_t* r, const Gate* gate);

}  // namespace entitle::ngx
