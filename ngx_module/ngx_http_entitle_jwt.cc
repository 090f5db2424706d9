// The app's own JWT: what it says is verified once and remembered by its full
// text, in a cache of the worker.

#include "ngx_module/ngx_http_entitle_identity.h"

namespace entitle::ngx {

constexpr std::size_t kJwtCacheBytes = 4 * 1024 * 1024;

struct JwtWorker {
    JwtCache verified{kJwtCacheBytes};
};

namespace {

JwtWorker&
worker(ngx_http_request_t* r) {
    MainConf* conf = main_conf(r);
    if (conf->jwt_worker == nullptr) {
        conf->jwt_worker = pool_new<JwtWorker>(ngx_cycle->pool);
        if (conf->jwt_worker == nullptr) {
            throw std::bad_alloc();
        }
    }
    return *conf->jwt_worker;
}

Reason
reason_of(JwtError error) {
    return error == JwtError::expired ? Reason::session_expired
                                      : Reason::session_invalid;
}

Identity
identity_of(const JwtClaims& claims) {
    // Who does not say when it was issued may have been issued before whatever
    // not_before says.
    return {claims.user, Reason::ok, claims.version,
            claims.issued_at.value_or(UnixTime{}), std::nullopt};
}

Identity
verified(ngx_http_request_t* r, std::string_view token) {
    const JwtSettings& settings = *location_conf(r)->jwt;
    const JwtScope scope{reinterpret_cast<std::uintptr_t>(&settings), 0};
    JwtCache& cache = worker(r).verified;
    if (const JwtClaims* claims = cache.find(scope, token, now())) {
        return identity_of(*claims);
    }
    const JwtVerdict verdict =
        verify_jwt(*settings.keys, *settings.rules, token, now());
    if (!verdict.claims) {
        ngx_str_t why = str(name(verdict.error));
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "entitle: JWT not accepted: %V", &why);
        return {std::nullopt, reason_of(verdict.error), {}, {}, {}};
    }
    cache.put(scope, token, *verdict.claims);
    return identity_of(*verdict.claims);
}

}  // namespace

// Of several cookies of one name the first good one counts.
Identity
jwt_identity(ngx_http_request_t* r) {
    Identity identity;
    for (std::string_view value :
         carried(r, location_conf(r)->identity->carrier)) {
        const std::optional<std::string_view> token = bearer_token(value);
        if (!token) {
            continue;
        }
        Identity said = verified(r, *token);
        if (said.user) {
            return said;
        }
        identity.why = said.why;
    }
    return identity;
}

}  // namespace entitle::ngx
