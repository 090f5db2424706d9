// Who is asking, by what the request carries: no I/O, no belief in anything
// that is not signed by us and bound to the app's session of this moment.

#include "ngx_module/gate/identity.h"

#include <algorithm>

#include "ngx_module/gate/binding.h"
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
    for (std::string_view token : request_cookies(r, conf->cookie->name)) {
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
                gate->unbound = std::move(session.user);
            }
            continue;
        }
        if (identity.user && *identity.issued_at >= session.issued_at) {
            continue;
        }
        identity = {std::move(session.user), Reason::ok, session.version,
                    session.issued_at, session.issued_at + recheck};
    }
    return identity;
}

// --- a variable the operator vouches for ------------------------------------

Identity
trusted_user(ngx_http_request_t* r) {
    Identity identity;
    for (std::string_view name :
         carried(r, location_conf(r)->identity->carrier)) {
        identity.user = User::from(name);
        identity.why = identity.user ? Reason::ok : Reason::session_invalid;
    }
    return identity;
}

Identity
identity_here(ngx_http_request_t* r, Gate* gate) {
    switch (identity_kind(location_conf(r))) {
        case Kind::trusted_user:
            return trusted_user(r);
        case Kind::jwt:
            return jwt_identity(r, gate);
        case Kind::app_session:
            return {};  // the gate has to ask Redis first
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
            .jwt = location->jwt,
            .recheck = location->session_recheck};
}

void
identify(ngx_http_request_t* r, Gate* gate) {
    const IdentitySettings settings = identity_settings(r);
    if (gate->settings == settings || gate->identifying) {
        return;
    }
    gate->identifying = true;
    gate->identity = {};
    gate->key_need = KeyNeed::none;
    gate->identity = identity_here(r, gate);
    gate->identifying = false;
    gate->settings = settings;

    const Reason why = gate->identity.why;
    if (why != Reason::ok && why != Reason::no_session &&
        identity_kind(location_conf(r)) != Kind::jwt) {  // says more itself
        ngx_str_t reason = str(name(why));
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "entitle: session not accepted: %V", &reason);
    }
}

void
issue_session(ngx_http_request_t* r, Gate* gate) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    if (server->session_keys == nullptr || gate->logged_out ||
        identity_kind(location) != Kind::edge_session) {
        return;
    }
    std::optional<std::string> binding =
        binding_now(r, gate->answer->set_cookies);
    if (!binding) {
        return;
    }
    const User& user = *gate->identity.user;
    const Seconds lifetime{location->session_lifetime};
    Session session{user,
                    gate->record.standing.version,
                    gate->answer->asked_at,
                    gate->answer->asked_at + lifetime,
                    {}};
    if (gate->before && gate->before->user == user) {
        // A version that rose while the app was being asked is not covered by
        // its answer: the next request asks again.
        session.version = gate->before->version;
    }
    session.binding = *std::move(binding);
    const std::string token = sign_session(
        *server->session_keys, *location->session_audience, session);
    if (token.empty()) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "entitle: no session for a user whose id is not UTF-8");
        return;
    }
    gate->session_cookie = set_cookie(*server->cookie, token, lifetime);
}

}  // namespace entitle::ngx
