// The configuration, as plain values: what the directives said, and what was
// made of it. Read-only at request time; conf/ fills it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/credit/credit_map.h"
#include "core/crypto/hmac.h"
#include "core/delivery/delivery.h"
#include "core/http/cookie.h"
#include "core/http/cookie_names.h"
#include "core/identity/app_session.h"
#include "core/identity/browser_id.h"
#include "core/identity/edge_session.h"
#include "core/identity/jwt.h"
#include "core/record/keys.h"
#include "core/redis/address.h"
#include "core/redis/endpoint.h"
#include "core/source/stripe_id.h"
#include "core/stripe/client_reference.h"
#include "core/stripe/facts.h"
#include "ngx_module/nginx.h"
#include "ngx_module/worker.h"

extern "C" {
extern ngx_module_t ngx_http_entitle_module;         // the gate and everything
extern ngx_module_t ngx_http_entitle_filter_module;  // the header filter
}

namespace entitle::ngx {

// --- configuration: read-only at request time -----------------------------

// Where a directive stands, for messages about what two directives say.
struct Where {
    ngx_str_t file;
    ngx_uint_t line;
};

struct RedisSsl {  // ngx_module/redis_client/ssl.h
    ngx_flag_t on;
    ngx_flag_t verify;
    ngx_str_t name;
    ngx_str_t trusted_certificate;
    ngx_str_t certificate;
    ngx_str_t certificate_key;
    Where where;     // of the last of these
    ngx_ssl_t* ssl;  // null: no TLS
};

// Who vouches for what a variable holds.
enum class Voucher {
    client,       // nobody: the client writes it as it likes
    certificate,  // who verified the client's certificate, if somebody did
    password,     // who verified $remote_user, if somebody did
    site,         // the site itself, as far as can be told
};

// Where a location believes one that somebody may have verified. Whether
// somebody did can be told only when every module has merged its configuration.
struct Belief {
    Voucher voucher;
    ngx_str_t directive;
    Where where;
    void** server;  // configurations
    void** location;
};

// Where a directive of ours was said, but for an `off`.
struct Said {
    ngx_str_t directive;
    std::vector<std::string_view> words;  // after it
    const void* conf;                     // of the level it was said at
    Where where;
};

// A variable that a directive of ours names.
struct NamedVariable {
    std::string_view variable;  // $name or ${name}
    std::string_view word;      // that it stands in
    ngx_str_t directive;
    Where where;
};

struct ConfNotes {
    std::vector<Said> said;
    std::vector<NamedVariable> variables;
};

struct Counted;  // ngx_module/counting.h

struct MainConf {
    Worker* worker;    // what changes at run time: this,
    Counted* counted;  // and these numbers
    time_t loaded;     // when the configuration was read
    ngx_flag_t used;   // some location is gated or takes webhooks
    ngx_str_t redis;   // as written; for messages
    RedisAddress* redis_address;
    std::vector<Endpoint>* redis_endpoints;           // never empty
    std::vector<RedisAddress>* redis_read_addresses;  // null: none
    std::vector<Endpoint>* redis_read;  // of entitle_redis_read, or null
    Where redis_read_where;
    ngx_str_t redis_user;
    Where redis_user_where;       // or of the address that names one
    std::string* redis_password;  // from entitle_redis_password_file, or null
    std::string* sentinel_password;  // likewise
    Where sentinel_password_where;
    RedisSsl redis_ssl;
    Where redis_where;
    ngx_int_t replica_wait;  // 0: no entitle_redis_wait
    ngx_msec_t replica_wait_time;
    ngx_resolver_t* resolver;  // of http{}; null: none
    ngx_msec_t resolver_timeout;
    ngx_msec_t redis_connect_timeout;
    ngx_msec_t redis_timeout;
    Where unbound_reauth;  // the last that was warned about
    ngx_uint_t dry_runs;   // locations that let everybody by
    std::size_t zone_size;
    std::size_t session_memory;  // bytes of a worker; 0: off
    ngx_shm_zone_t* zone;        // entitle_zone; null: nothing is gated
    bool live;                   // some location has entitle_live
    ngx_shm_zone_t* live_ends;   // then (gate/live_ends.h); else null
    ngx_msec_t greatest_lease;   // of all gates
    ngx_msec_t smallest_lease;
    ngx_uint_t wait_limit;
    ngx_uint_t wait_limit_per;     // of one user, and of one address
    std::vector<Belief>* beliefs;  // null: none
    ConfNotes* notes;              // of what was read, for checks; or null
};

struct ServerConf {
    ngx_uint_t mode;  // NGX_CONF_UNSET_UINT, or Mode as an integer
    ngx_str_t prefix;
    Keys* keys;  // of prefix and mode, made when merged
    std::vector<UserFrom>* user_from;
    GrantMap* grants;    // empty: no entitle_grant here or above
    CreditMap* credits;  // null: no entitle_credit here or above
    time_t grace;
    time_t past_due_grace;
    time_t provisional;         // 0: off
    ngx_uint_t refund_revokes;  // 1 revoke, 0 keep
    ngx_uint_t dispute_revokes;
    ngx_uint_t pause_revokes;
    Policy* policy;  // of the six above, made when merged
    std::vector<std::string>* raw_session_keys;
    SessionKeys* session_keys;   // null: no entitle_session_key_file
    ClientReference* reference;  // likewise
    BrowserKeys* browser_keys;   // likewise
    CookieOptions* cookie;
    CookieOptions* browser_cookie;  // as that, by another name
    std::string* audience;    // prefix and mode: whose records are kept apart
    ngx_str_t session_scope;  // len 0: the server itself
    bool any_host;            // then, and it answers for hosts by a pattern
    Where user_from_where;
    bool certificates;  // it refuses those of clients that it cannot verify
};

enum class GateMode { off, optional, on };

// One name of entitle_require. Each variable in it is also kept alone: when
// any of them is empty the name never matches, whatever stands around it.
struct RequireName {
    ngx_http_complex_value_t* value;
    std::vector<ngx_http_complex_value_t*> variables;
    operator ngx_http_complex_value_t*() const {
        return value;
    }
};

// One line of entitle_require: alternatives.
using RequireLine = std::vector<RequireName>;

// `cookie=NAME` or a variable.
struct Carrier {
    ngx_str_t cookie;                 // empty: `value` is used
    ngx_http_complex_value_t* value;  // null: `cookie` is used
};

// One of entitle_session_bind.
struct BindSource {
    std::optional<CookieNames> cookies;  // null: `value` is used
    ngx_http_complex_value_t* value;
};

struct Credentials {  // entitle_credentials
    std::vector<CookieNames> cookies;
    std::vector<ngx_str_t> headers;

    bool
    empty() const {
        return cookies.empty() && headers.empty();
    }
};

struct ReauthUser {
    enum class Kind { header, json, variable } kind;
    ngx_str_t name;  // header name or JSON pointer
    ngx_int_t variable_index;
    Voucher voucher;  // for the variable
    bool optional;    // 2xx without it is a guest
    bool off;         // until it was merged: then there is none
    Where where;
};

struct ClaimEmail {  // entitle_claim_email
    bool json;       // `name` is a pointer, else a header
    ngx_str_t name;  // len 0: off
};

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

// entitle_guest_user: a visitor nobody knows is known by the browser.
struct GuestUser {
    bool on;
    time_t lifetime;
    Where where;
};

// What a location is for, if not to give what stands there. It has one role.
// Poll and redirect answer behind the gate, the others never inherit it.
enum class Role { none, webhook, logout, status, redirect, poll };

struct Redirect {  // entitle_redirect
    ngx_int_t status;
    ngx_http_complex_value_t* url;
    bool names_buyer;  // `url` has $entitle_client_reference_id
};

struct Wait {                           // entitle_wait
    ngx_msec_t time;                    // 0: off
    ngx_http_complex_value_t* only_if;  // null: always
    Where where;
};

struct MeterSettings {  // entitle_meter
    bool off;
    std::string name;                // of the account
    ngx_http_complex_value_t* cost;  // null: 1
    std::int64_t block = 1;
    std::vector<ngx_uint_t> refund;  // statuses of the app's answer
    Where where;
};

struct LocationConf {
    // Not inherited; nor is what belongs to it: `webhook`, `logout_all`,
    // `redirect`, `poll`.
    Role role;
    ngx_str_t role_directive;
    Where role_where;

    // webhook
    ngx_uint_t webhook;  // 0 none, 1 test, 2 live
    Keys* webhook_keys;  // of the prefix and this webhook's mode
    std::vector<HmacSha256>* webhook_secrets;
    time_t webhook_tolerance;
    std::vector<AccountId>* webhook_accounts;
    ngx_str_t stripe_request;  // before a path of Stripe's; len 0: none
    Where stripe_request_where;

    // gate: inherited like anything else, but not looked at in the roles that
    // stand behind none
    ngx_uint_t gate;  // NGX_CONF_UNSET_UINT or GateMode
    bool gate_said;   // here, not above
    Where gate_where;
    std::vector<RequireLine>* require;
    std::vector<BindSource>* session_bind;  // null: none
    std::string* session_audience;          // what a session made here is worth
    time_t session_lifetime;
    time_t session_recheck;
    ngx_msec_t lease;
    time_t stale;
    ngx_uint_t redis_down;  // 1: known sessions pass while Redis is down
    MeterSettings* meter;   // null: it takes nothing
    ngx_uint_t live;        // 1: a response ends when its access does
    ngx_str_t reauth;       // URI; len 0: none
    Where reauth_where;
    ReauthUser* reauth_user;
    std::vector<ngx_http_complex_value_t*>* reauth_key;
    Credentials* credentials;  // null: the default
    ClaimEmail* claim_email;
    GuestUser* guest;               // null: off
    std::string* browser_audience;  // what a browser's id is worth here
    IdentitySource* identity;       // null: the edge session
    JwtSettings* jwt;               // null: no entitle_jwt_... here or above
    ngx_uint_t preflight;           // 1: CORS preflights pass
    ngx_http_complex_value_t* login_url;
    Where login_url_where;
    Wait wait;
    ngx_flag_t problem_json;
    ngx_flag_t cache_control;
    ngx_uint_t dry_run;  // 1: whom the gate would refuse is let by
    Where dry_run_where;

    bool logout_all;  // every device
    Redirect* redirect;
    ngx_msec_t poll;  // 0: none

    // Nothing stands behind a poll, and nobody can be sent to buy without a
    // name.
    bool
    lets_everybody_by() const {
        return dry_run == 1 && gated() && role != Role::poll &&
               !(role == Role::redirect && redirect->names_buyer);
    }

    bool
    gated() const {
        const bool looked_at =
            role == Role::none || role == Role::redirect || role == Role::poll;
        return looked_at && gate != static_cast<ngx_uint_t>(GateMode::off);
    }
};

inline const MainConf*
main_conf(ngx_http_request_t* r) {
    return static_cast<const MainConf*>(
        ngx_http_get_module_main_conf(r, ngx_http_entitle_module));
}

inline const ServerConf*
server_conf(ngx_http_request_t* r) {
    return static_cast<const ServerConf*>(
        ngx_http_get_module_srv_conf(r, ngx_http_entitle_module));
}

inline const LocationConf*
location_conf(ngx_http_request_t* r) {
    return static_cast<const LocationConf*>(
        ngx_http_get_module_loc_conf(r, ngx_http_entitle_module));
}

}  // namespace entitle::ngx
