// How a location knows who is asking, where it is not by the edge session: as
// configured, and what the files that read it offer the gate.
//
//   _identity       the edge session and the trusted variable
//   _jwt            the app's JWT; _jwt_keys fetches the keys it is verified by
//   _app_session    the app's own session in Redis
#pragma once

#include "core/identity/app_session.h"
#include "core/identity/jwt.h"
#include "core/identity/jwt_cache.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// The app's own session in Redis.
struct AppSessionSource {
    SessionKey key;
    AppSessionRules rules;
};

// One of entitle_jwt, entitle_session_redis, entitle_trusted_user; each takes
// `off`, which is the edge session again.
struct IdentitySource {
    enum class Kind { edge_session, jwt, app_session, trusted_user };
    Kind kind = Kind::edge_session;
    Where where{};
    ngx_str_t directive{};
    Carrier carrier{};  // of the token, the session's id, the name
    Voucher voucher = Voucher::site;  // for a trusted name
    std::optional<AppSessionSource> app_session;
};

// entitle_jwt_...: what a level says; what it leaves open is the outer one's.
// Locations with the same settings share one object, so its address stands for
// them in JwtScope.
struct JwtSettings {
    JwtKeys* keys = nullptr;  // entitle_jwt_key_file
    ngx_str_t key_request{};  // a URI of this server; len 0: none
    bool no_keys = false;     // off: none of those above either
    std::optional<std::vector<std::string>> issuers;  // empty: off
    std::optional<std::vector<std::string>> audiences;
    std::optional<Seconds> leeway;
    std::optional<std::string> user_claim;
    std::optional<std::string> version_claim;

    std::optional<JwtRules> rules;  // of all that, once merged
};

inline IdentitySource::Kind
identity_kind(const LocationConf* conf) {
    return conf->identity == nullptr ? IdentitySource::Kind::edge_session
                                     : conf->identity->kind;
}

// --- gate/identity.cc
// -----------------------------------------------------------

// What a carrier brings: every cookie of the name, or the variable's value if
// it has one.
std::vector<std::string_view> carried(ngx_http_request_t* r,
                                      const Carrier& carrier);

// --- gate/jwt.cc
// ----------------------------------------------------------------

// gate->key_need says whether other keys might have said something else.
Identity jwt_identity(ngx_http_request_t* r, Gate* gate);

// --- gate/jwt_keys.cc
// -----------------------------------------------------------

// NGX_OK: the keys are as new as they get; identify again. NGX_AGAIN: asked,
// the gate will be woken. NGX_DECLINED: there are none. NGX_ERROR: no memory.
ngx_int_t jwt_keys_fetch(ngx_http_request_t* r, Gate* gate);
// The request goes away: others take over.
void jwt_keys_leave(Gate* gate) noexcept;

// --- gate/app_session.cc
// --------------------------------------------------------

// Fills gate->identity from the app's own session. NGX_OK: done. NGX_AGAIN:
// asked, the gate will be woken. NGX_DECLINED: it cannot be told, gate->trouble
// says why.
ngx_int_t app_session_lookup(ngx_http_request_t* r, Gate* gate);

}  // namespace entitle::ngx
