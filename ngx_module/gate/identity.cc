// Who is asking, by what the request carries: no I/O, no belief in anything
// that is not signed by us and bound to the app's session of this moment.

#include "ngx_module/gate/identity.h"

#include <algorithm>

#include "core/http/set_cookie.h"

namespace entitle::ngx {

namespace {

using Kind = IdentitySource::Kind;

std::vector<std::string_view>
request_cookies(ngx_http_request_t* r, std::string_view name) {
    std::vector<std::string_view> values;
    compat::each_cookie_line(r, [&](const ngx_str_t& line) {
        cookie_values(view(line), name, values);
    });
    return values;
}

// --- the edge session -------------------------------------------------------

Reason
reason_of(SessionError error) {
    return error == SessionError::expired ? Reason::session_expired
                                          : Reason::session_invalid;
}

std::string_view
kept(ngx_http_request_t* r, std::string_view text) {
    const ngx_str_t copy = pool_copy(r->pool, text);
    if (copy.data == nullptr) {
        throw std::bad_alloc();
    }
    return view(copy);
}

std::string_view
bind_value(ngx_http_request_t* r, const Carrier& carrier,
           const std::vector<std::string>& set_cookies) {
    if (carrier.value != nullptr) {
        ngx_str_t text;
        if (ngx_http_complex_value(r, carrier.value, &text) != NGX_OK) {
            throw std::bad_alloc();
        }
        return view(text);
    }
    if (!set_cookies.empty()) {
        if (auto fresh = cookie_set_by(set_cookies, view(carrier.cookie))) {
            return kept(r, *fresh);
        }
    }
    // All of that name: which of them the app reads is its own affair.
    const std::vector<std::string_view> all =
        request_cookies(r, view(carrier.cookie));
    if (all.size() == 1) {
        return all.front();
    }
    std::string joined;
    for (std::string_view one : all) {
        if (!joined.empty()) {
            joined += ';';
        }
        joined += one;
    }
    return kept(r, joined);
}

bool
bound_here(ngx_http_request_t* r, const Session& session) {
    if (location_conf(r)->session_bind == nullptr) {
        return true;
    }
    const auto values = bind_values(r, {});
    return values && bind_matches(*server_conf(r)->session_keys,
                                  session.binding, *values);
}

// A browser may send several cookies of one name (other paths and domains):
// the newest good one counts, and a bad one does no harm.
Identity
edge_session(ngx_http_request_t* r) {
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
                                                   : edge_session(r);
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

std::optional<std::vector<std::string_view>>
bind_values(ngx_http_request_t* r,
            const std::vector<std::string>& set_cookies) {
    std::vector<std::string_view> values;
    const std::vector<Carrier>* carriers = location_conf(r)->session_bind;
    if (carriers == nullptr) {
        return values;
    }
    values.reserve(carriers->size());
    for (const Carrier& carrier : *carriers) {
        const std::string_view value = bind_value(r, carrier, set_cookies);
        if (value.empty()) {
            return std::nullopt;
        }
        values.push_back(value);
    }
    return values;
}

void
issue_session(ngx_http_request_t* r, Gate* gate) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    if (server->session_keys == nullptr || gate->logged_out ||
        identity_kind(location) != Kind::edge_session) {
        return;
    }
    const auto values = bind_values(r, gate->answer->set_cookies);
    if (!values) {
        return;  // the app has just ended the session it would be bound to
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
    if (!values->empty()) {
        session.binding = bind(*server->session_keys, *values);
    }
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
