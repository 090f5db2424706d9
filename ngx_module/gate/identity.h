// How a location knows who is asking: as configured, and by what a request
// carries.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/decision.h"
#include "core/identity/app_session.h"
#include "core/identity/jwt.h"
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

// --- gate/identity.cc -------------------------------------------------------

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
IdentitySettings identity_settings(ngx_http_request_t* r);

// Who the request says it is, without I/O. Of an app's session nothing: Redis
// has to be asked first.
Identity carried_identity(ngx_http_request_t* r, Gate* gate);

// What a carrier brings: every cookie of the name, or the variable's value if
// it has one.
std::vector<std::string_view> carried(ngx_http_request_t* r,
                                      const Carrier& carrier);

// The session cookie for a user the app has named at `asked_at`, under that
// version of the record; `set_cookies` are the app's. Empty: none is due.
std::string new_session_cookie(ngx_http_request_t* r, const User& user,
                               std::int64_t version, UnixTime asked_at,
                               const std::vector<std::string>& set_cookies);

// --- gate/app_session.cc ----------------------------------------------------

// The app's own session. NGX_OK: `identity`. NGX_AGAIN: asked, the gate will be
// woken. NGX_DECLINED: it cannot be told, `trouble` says why.
ngx_int_t app_session_lookup(ngx_http_request_t* r, Gate* gate,
                             Identity& identity, Reason& trouble);

}  // namespace entitle::ngx
