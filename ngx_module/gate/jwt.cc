// The app's own JWT: what it says is verified once and remembered by its full
// text, in a cache of the worker.

#include "ngx_module/gate/jwt.h"

#include "core/identity/jwt.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

JwtWorker&
jwt_worker(ngx_http_request_t* r) {
    return main_conf(r)->worker->part<JwtWorker>();
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

// A key may be in either place: what the files know needs no fetching.
JwtVerdict
verify(const JwtSettings& settings, const FetchedKeys* fetched,
       std::string_view token) {
    static const JwtKeys none;
    JwtVerdict verdict;
    if (settings.keys != nullptr) {
        verdict = verify_jwt(*settings.keys, *settings.rules, token, now());
        const bool signed_otherwise =
            verdict.error == JwtError::unknown_key ||
            verdict.error == JwtError::bad_signature ||
            verdict.error == JwtError::alg_not_allowed;
        if (verdict.claims || fetched == nullptr || !signed_otherwise) {
            return verdict;
        }
    }
    const JwtKeys& keys = fetched->keys() ? *fetched->keys() : none;
    return verify_jwt(keys, *settings.rules, token, now());
}

// Some providers put all of somebody's groups into it.
Identity
too_long(ngx_http_request_t* r, std::size_t length) {
    static SeldomAbout seldom;
    const bool due = seldom.due(location_conf(r)->jwt);
    const ngx_uint_t level = due ? NGX_LOG_WARN : NGX_LOG_INFO;
    ngx_log_error(level, r->connection->log, 0,
                  "entitle: JWT of %uz bytes not accepted, it is too long: at "
                  "most %uz",
                  length, kMaxJwt);
    return {std::nullopt, Reason::session_invalid, {}, {}, {}};
}

// Each verification of a signature takes up to a millisecond of the worker, and
// strangers choose how many cookies of one name they send.
constexpr int kMostVerified = 4;  // a request

// `left` counts down. Null: no more.
std::optional<Identity>
verified(ngx_http_request_t* r, std::string_view token,
         const FetchedKeys* fetched, KeyNeed& need, int& left) {
    const JwtSettings& settings = *location_conf(r)->jwt;
    const JwtScope scope{reinterpret_cast<std::uintptr_t>(&settings),
                         fetched == nullptr ? 0 : fetched->generation()};
    need = fetched == nullptr ? KeyNeed::none : fetched->by_age();
    if (token.size() > kMaxJwt) {
        return too_long(r, token.size());
    }
    JwtCache& cache = jwt_worker(r).verified;
    if (const JwtClaims* claims = cache.find(scope, token, now())) {
        return identity_of(*claims);
    }
    if (left-- == 0) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "entitle: more than %d JWTs in one request: the rest is "
                      "not looked at",
                      kMostVerified);
        return std::nullopt;
    }
    const JwtVerdict verdict = verify(settings, fetched, token);
    if (!verdict.claims) {
        if (fetched != nullptr && verdict.key_missing) {
            need = KeyNeed::missing;
        }
        ngx_str_t why = str(name(verdict.error));
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "entitle: JWT not accepted: %V", &why);
        return Identity{std::nullopt, reason_of(verdict.error), {}, {}, {}};
    }
    cache.put(scope, token, *verdict.claims);
    return identity_of(*verdict.claims);
}

}  // namespace

FetchedKeys*
fetched_keys(ngx_http_request_t* r) {
    const ngx_str_t& uri = location_conf(r)->jwt->key_request;
    if (uri.len == 0) {
        return nullptr;
    }
    auto& here = jwt_worker(r).fetched[server_conf(r)];
    auto found = here.find(view(uri));
    if (found == here.end()) {
        const auto* server = static_cast<ngx_http_core_srv_conf_t*>(
            ngx_http_get_module_srv_conf(r, ngx_http_core_module));
        found = here.try_emplace(std::string(view(uri)), *server, uri).first;
    }
    return &found->second;
}

// Of several cookies of one name the first good one counts.
Identity
jwt_identity(ngx_http_request_t* r, Gate* gate) {
    const FetchedKeys* fetched = fetched_keys(r);
    auto& seeker = gate->part<KeySeeker>();
    seeker.need = KeyNeed::none;
    seeker.seen = fetched == nullptr ? 0 : fetched->generation();
    Identity identity;
    int left = kMostVerified;
    for (std::string_view value :
         carried(r, location_conf(r)->identity->carrier)) {
        const std::optional<std::string_view> token = bearer_token(value);
        if (!token) {
            continue;
        }
        KeyNeed need;
        std::optional<Identity> said = verified(r, *token, fetched, need, left);
        if (!said) {
            break;
        }
        if (said->user) {
            seeker.need = need;
            return *std::move(said);
        }
        seeker.need = std::max(seeker.need, need);
        identity.why = said->why;
    }
    return identity;
}

JwtNext
jwt_next(const Gate* gate, const Identity& identity) {
    const KeySeeker& seeker = *gate->find<KeySeeker>();
    if (seeker.need != KeyNeed::none && !seeker.asked) {
        return JwtNext::fetch_keys;
    }
    // Newer keys may know the token's: who cannot tell says so.
    return seeker.need == KeyNeed::missing && !identity.user && !seeker.fresh
               ? JwtNext::cannot_tell
               : JwtNext::go_on;
}

}  // namespace entitle::ngx
