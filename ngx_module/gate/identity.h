// How a location knows who is asking, by what a request carries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/access/decision.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

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
    const GuestUser* guest;
    const std::string* browser_audience;
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
