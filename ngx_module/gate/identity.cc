// Who is asking, by what the request carries: no I/O, no belief in anything
// that is not signed by us and bound to the app's session of this moment.

#include "ngx_module/gate/identity.h"

#include <algorithm>

#include "ngx_module/gate/binding.h"
#include "ngx_module/gate/jwt.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/cookies.h"

namespace entitle::ngx {

namespace {

using Kind = IdentitySource::Kind;

// --- the edge session -------------------------------------------------------

Reason
reason_of(SessionError error) {
    return error == SessionError::expired ? Reason::session_expired
                                          : Reason::session_invalid;
}

// A browser may send several cookies of one name (other paths and domains):
// the newest good one counts, and a bad one does no harm.
Identity
edge_session(ngx_http_request_t* r, Gate* gate) {
    const ServerConf* conf = server_conf(r);
    const Seconds recheck{location_conf(r)->session_recheck};
    Identity identity;
    const std::vector<std::string_view> tokens =
        request_cookies(r, conf->cookie->name);
    for (std::string_view token : tokens) {
        SessionVerdict verdict =
            verify_session(*conf->session_keys,
                           *location_conf(r)->session_audience, token, now());
        if (!verdict.session) {
            if (!identity.user) {
                identity.why = reason_of(verdict.error);
            }
            continue;
        }
        Session& session = *verdict.session;
        if (!bound_here(r, session)) {
            if (!identity.user) {
                identity.why = Reason::session_unbound;
                note_unbound(gate, std::move(session.user));
            }
            continue;
        }
        if (identity.user && *identity.issued_at >= session.issued_at) {
            continue;
        }
        const UnixTime recheck_at = session.issued_at + recheck;
        identity = {std::move(session.user),
                    Reason::ok,
                    session.version,
                    session.issued_at,
                    recheck_at,
                    std::min(session.expires_at, recheck_at)};
    }
    if (tokens.size() > 1) {
        // Another one may count when this one is over, or sooner.
        identity.same_until.reset();
    }
    return identity;
}

// --- a variable the operator vouches for ------------------------------------

Identity
trusted_user(ngx_http_request_t* r) {
    Identity identity;
    if (certificate_refused(r, server_conf(r)->certificates)) {
        identity.why = Reason::session_invalid;
        return identity;
    }
    for (std::string_view name :
         carried(r, location_conf(r)->identity->carrier)) {
        identity.user = User::from(name);
        identity.why = identity.user ? Reason::ok : Reason::session_invalid;
    }
    return identity;
}

Identity
identity_by(Kind kind, ngx_http_request_t* r, Gate* gate) {
    switch (kind) {
        case Kind::trusted_user:
            return trusted_user(r);
        case Kind::jwt:
            return jwt_identity(r, gate);
        case Kind::app_session:
            return {};
        case Kind::edge_session:
            break;
    }
    return server_conf(r)->session_keys == nullptr ? Identity{}
                                                   : edge_session(r, gate);
}

}  // namespace

std::vector<std::string_view>
carried(ngx_http_request_t* r, const Carrier& carrier) {
    if (carrier.value == nullptr) {
        return request_cookies(r, view(carrier.cookie));
    }
    ngx_str_t text;
    if (ngx_http_complex_value(r, carrier.value, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    if (text.len == 0) {
        return {};
    }
    return {view(text)};
}

IdentitySettings
identity_settings(ngx_http_request_t* r) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    return {.keys = server->session_keys,
            .audience = location->session_audience,
            .cookie = server->cookie,
            .redis_keys = server->keys,
            .bind = location->session_bind,
            .reauth_user = location->reauth_user,
            .reauth_key = location->reauth_key,
            .credentials = location->credentials,
            .reauth = location->reauth.data,
            .source = location->identity,
            .guest = location->guest,
            .browser_audience = location->browser_audience,
            .jwt = location->jwt,
            .recheck = location->session_recheck};
}

Identity
carried_identity(ngx_http_request_t* r, Gate* gate) {
    const Kind kind = identity_kind(location_conf(r));
    Identity identity = identity_by(kind, r, gate);
    if (identity.why != Reason::ok && identity.why != Reason::no_session &&
        kind != Kind::jwt) {  // says more itself
        ngx_str_t reason = str(name(identity.why));
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "entitle: session not accepted: %V", &reason);
    }
    return identity;
}

std::string
new_session_cookie(ngx_http_request_t* r, const User& user,
                   std::int64_t version, UnixTime asked_at,
                   const std::vector<std::string>& set_cookies) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    if (server->session_keys == nullptr ||
        identity_kind(location) != Kind::edge_session) {
        return {};
    }
    std::optional<std::string> binding = binding_now(r, set_cookies);
    if (!binding) {
        return {};
    }
    const Seconds lifetime{location->session_lifetime};
    const std::string token = sign_session(
        *server->session_keys, *location->session_audience,
        {user, version, asked_at, asked_at + lifetime, *std::move(binding)});
    if (token.empty()) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "entitle: no session for a user whose id is not UTF-8");
        return {};
    }
    return set_cookie(*server->cookie, token, lifetime);
}

}  // namespace entitle::ngx
