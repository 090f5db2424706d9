// The module as nginx sees it: directives, contexts, handlers' places.

#include "core/base/version.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/conf/believed.h"
#include "ngx_module/conf/check.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/live_ends.h"
#include "ngx_module/redis_client/client.h"
#include "ngx_module/redis_client/start_warnings.h"
#include "ngx_module/status/status.h"
#include "ngx_module/status/watch.h"
#include "ngx_module/webhook/handlers.h"
#include "ngx_module/webhook/sweep.h"

namespace entitle::ngx {
namespace {

ngx_int_t add_variables(ngx_conf_t* cf) noexcept;
ngx_int_t init_handlers(ngx_conf_t* cf) noexcept;
ngx_int_t init_module(ngx_cycle_t* cycle) noexcept;
ngx_int_t init_process(ngx_cycle_t* cycle) noexcept;
void exit_process(ngx_cycle_t* cycle) noexcept;

ngx_conf_enum_t modes[] = {
    {ngx_string("live"), static_cast<ngx_uint_t>(Mode::live)},
    {ngx_string("test"), static_cast<ngx_uint_t>(Mode::test)},
    {ngx_null_string, 0},
};

ngx_conf_enum_t gate_modes[] = {
    {ngx_string("on"), static_cast<ngx_uint_t>(GateMode::on)},
    {ngx_string("optional"), static_cast<ngx_uint_t>(GateMode::optional)},
    {ngx_string("off"), static_cast<ngx_uint_t>(GateMode::off)},
    {ngx_null_string, 0},
};

ngx_conf_enum_t preflights[] = {
    {ngx_string("allow"), 1},
    {ngx_string("gate"), 0},
    {ngx_null_string, 0},
};

ngx_conf_enum_t revoke_or_keep[] = {
    {ngx_string("revoke"), 1},
    {ngx_string("keep"), 0},
    {ngx_null_string, 0},
};

ngx_conf_enum_t on_or_off[] = {
    {ngx_string("on"), 1},
    {ngx_string("off"), 0},
    {ngx_null_string, 0},
};

ngx_conf_enum_t deny_or_allow[] = {
    {ngx_string("deny"), 0},
    {ngx_string("allow"), 1},
    {ngx_null_string, 0},
};

constexpr ngx_uint_t kMain = NGX_HTTP_MAIN_CONF;
constexpr ngx_uint_t kServer = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF;
constexpr ngx_uint_t kLocation = kServer | NGX_HTTP_LOC_CONF;

using NginxSetter = char* (*)(ngx_conf_t*, ngx_command_t*, void*);

// One directive: where it may stand and what it takes, how it is read, which
// structure keeps it and where in it.
#define ENTITLE_DIRECTIVE(name, type, set, level, offset, post)              \
    {                                                                        \
        ngx_string(name), type, set, NGX_HTTP_##level##_CONF_OFFSET, offset, \
            post                                                             \
    }
#define ENTITLE_MAIN(name, type, set, member)          \
    ENTITLE_DIRECTIVE(name, kMain | (type), set, MAIN, \
                      offsetof(MainConf, member), nullptr)
#define ENTITLE_SERVER(name, type, set, member, post)   \
    ENTITLE_DIRECTIVE(name, kServer | (type), set, SRV, \
                      offsetof(ServerConf, member), post)
#define ENTITLE_LOCATION(name, type, set, member, post)   \
    ENTITLE_DIRECTIVE(name, kLocation | (type), set, LOC, \
                      offsetof(LocationConf, member), post)

ngx_command_t commands[] = {

    // what Stripe says

    ENTITLE_DIRECTIVE("entitle_webhook", NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
                      reads<set_webhook>, LOC, 0, nullptr),
    ENTITLE_LOCATION("entitle_webhook_secret_file", NGX_CONF_TAKE1,
                     reads<add_webhook_secret_file>, webhook_secrets, nullptr),
    ENTITLE_LOCATION("entitle_webhook_tolerance", NGX_CONF_TAKE1,
                     reads<set_positive_seconds>, webhook_tolerance, nullptr),
    ENTITLE_LOCATION("entitle_webhook_account", NGX_CONF_1MORE,
                     reads<add_webhook_account>, webhook_accounts, nullptr),
    ENTITLE_LOCATION("entitle_stripe_request", NGX_CONF_TAKE1,
                     reads<set_stripe_request>, stripe_request, nullptr),

    // whose it is, and what it gives

    ENTITLE_SERVER("entitle_user_from", NGX_CONF_1MORE, reads<set_user_from>,
                   user_from, nullptr),
    ENTITLE_SERVER("entitle_grant", NGX_CONF_1MORE, reads_words<add_grant>,
                   grants, nullptr),
    ENTITLE_SERVER("entitle_credit", NGX_CONF_1MORE, reads_words<add_credit>,
                   credits, nullptr),
    ENTITLE_SERVER("entitle_mode", NGX_CONF_TAKE1, reads<set_choice>, mode,
                   modes),
    ENTITLE_SERVER("entitle_grace", NGX_CONF_TAKE1, reads<set_seconds>, grace,
                   nullptr),
    ENTITLE_SERVER("entitle_past_due_grace", NGX_CONF_TAKE1, reads<set_seconds>,
                   past_due_grace, nullptr),
    ENTITLE_SERVER("entitle_provisional", NGX_CONF_TAKE1,
                   reads<set_provisional>, provisional, nullptr),
    ENTITLE_SERVER("entitle_refund", NGX_CONF_TAKE1, reads<set_choice>,
                   refund_revokes, revoke_or_keep),
    ENTITLE_SERVER("entitle_dispute", NGX_CONF_TAKE1, reads<set_choice>,
                   dispute_revokes, revoke_or_keep),
    ENTITLE_SERVER("entitle_pause_collection", NGX_CONF_TAKE1,
                   reads<set_choice>, pause_revokes, revoke_or_keep),

    // where it is kept

    ENTITLE_MAIN("entitle_redis", NGX_CONF_TAKE1, reads<set_redis>, redis),
    ENTITLE_MAIN("entitle_redis_read", NGX_CONF_1MORE, reads<set_redis_read>,
                 redis_read),
    ENTITLE_MAIN("entitle_redis_user", NGX_CONF_TAKE1, reads<set_redis_user>,
                 redis_user),
    ENTITLE_MAIN("entitle_redis_password_file", NGX_CONF_TAKE1,
                 reads<set_redis_password_file>, redis_password),
    ENTITLE_MAIN("entitle_redis_sentinel_password_file", NGX_CONF_TAKE1,
                 reads<set_sentinel_password_file>, sentinel_password),
    ENTITLE_MAIN("entitle_redis_ssl", NGX_CONF_FLAG, reads<set_redis_ssl_flag>,
                 redis_ssl.on),
    ENTITLE_MAIN("entitle_redis_ssl_verify", NGX_CONF_FLAG,
                 reads<set_redis_ssl_flag>, redis_ssl.verify),
    ENTITLE_MAIN("entitle_redis_ssl_name", NGX_CONF_TAKE1,
                 reads<set_redis_ssl_text>, redis_ssl.name),
    ENTITLE_MAIN("entitle_redis_ssl_trusted_certificate", NGX_CONF_TAKE1,
                 reads<set_redis_ssl_file>, redis_ssl.trusted_certificate),
    ENTITLE_MAIN("entitle_redis_ssl_certificate", NGX_CONF_TAKE1,
                 reads<set_redis_ssl_file>, redis_ssl.certificate),
    ENTITLE_MAIN("entitle_redis_ssl_certificate_key", NGX_CONF_TAKE1,
                 reads<set_redis_ssl_file>, redis_ssl.certificate_key),
    ENTITLE_SERVER("entitle_redis_prefix", NGX_CONF_TAKE1,
                   reads<set_redis_prefix>, prefix, nullptr),
    ENTITLE_MAIN("entitle_redis_connect_timeout", NGX_CONF_TAKE1,
                 reads<set_positive_msec>, redis_connect_timeout),
    ENTITLE_MAIN("entitle_redis_wait", NGX_CONF_TAKE2, reads<set_redis_wait>,
                 replica_wait),
    ENTITLE_MAIN("entitle_redis_timeout", NGX_CONF_TAKE1,
                 reads<set_positive_msec>, redis_timeout),

    // how it is cached

    ENTITLE_MAIN("entitle_zone", NGX_CONF_TAKE1, reads<set_zone>, zone_size),
    ENTITLE_LOCATION("entitle_lease", NGX_CONF_TAKE1, reads<set_positive_msec>,
                     lease, nullptr),
    ENTITLE_LOCATION("entitle_stale", NGX_CONF_TAKE1, reads<set_seconds>, stale,
                     nullptr),
    ENTITLE_LOCATION("entitle_redis_down", NGX_CONF_TAKE1, reads<set_choice>,
                     redis_down, deny_or_allow),

    // who is let in

    ENTITLE_LOCATION("entitle", NGX_CONF_TAKE1, reads<set_gate>, gate,
                     gate_modes),
    ENTITLE_LOCATION("entitle_require", NGX_CONF_1MORE,
                     reads_variables<add_require>, require, nullptr),

    ENTITLE_LOCATION("entitle_dry_run", NGX_CONF_TAKE1, reads<set_dry_run>,
                     dry_run, on_or_off),
    ENTITLE_LOCATION("entitle_meter", NGX_CONF_1MORE,
                     reads_variables<set_meter>, meter, nullptr),
    ENTITLE_LOCATION("entitle_live", NGX_CONF_TAKE1, reads<set_choice>, live,
                     on_or_off),
    ENTITLE_DIRECTIVE("entitle_wait",
                      NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE12,
                      reads_variables<set_wait>, LOC, 0, nullptr),
    ENTITLE_MAIN("entitle_wait_limit", NGX_CONF_TAKE12, reads<set_wait_limit>,
                 wait_limit),

    // how they are recognised

    ENTITLE_SERVER("entitle_session_key_file", NGX_CONF_TAKE1,
                   reads<add_session_key_file>, raw_session_keys, nullptr),
    ENTITLE_SERVER("entitle_session_cookie", NGX_CONF_1MORE,
                   reads<set_session_cookie>, cookie, nullptr),
    ENTITLE_LOCATION("entitle_session_lifetime", NGX_CONF_TAKE1,
                     reads<set_positive_seconds>, session_lifetime, nullptr),
    ENTITLE_LOCATION("entitle_session_recheck", NGX_CONF_TAKE1,
                     reads<set_positive_seconds>, session_recheck, nullptr),
    ENTITLE_SERVER("entitle_session_scope", NGX_CONF_TAKE1,
                   reads<set_session_scope>, session_scope, nullptr),
    ENTITLE_MAIN("entitle_session_memory", NGX_CONF_TAKE1,
                 reads<set_session_memory>, session_memory),
    ENTITLE_LOCATION("entitle_session_bind", NGX_CONF_1MORE,
                     reads_variables<add_session_bind>, session_bind, nullptr),
    ENTITLE_LOCATION("entitle_credentials", NGX_CONF_1MORE,
                     reads<add_credentials>, credentials, nullptr),
    ENTITLE_LOCATION("entitle_reauth_key", NGX_CONF_1MORE,
                     reads_variables<add_reauth_key>, reauth_key, nullptr),
    ENTITLE_LOCATION("entitle_reauth", NGX_CONF_TAKE1, reads<set_reauth>,
                     reauth, nullptr),
    ENTITLE_LOCATION("entitle_reauth_user", NGX_CONF_TAKE12,
                     reads_variables<set_reauth_user>, reauth_user, nullptr),
    ENTITLE_LOCATION("entitle_claim_email", NGX_CONF_TAKE1,
                     reads<set_claim_email>, claim_email, nullptr),
    ENTITLE_LOCATION("entitle_guest_user", NGX_CONF_TAKE12,
                     reads<set_guest_user>, guest, nullptr),

    // or otherwise

    ENTITLE_LOCATION("entitle_jwt", NGX_CONF_TAKE1, reads_variables<set_jwt>,
                     identity, nullptr),
    ENTITLE_LOCATION("entitle_jwt_key_file", NGX_CONF_TAKE1,
                     reads<add_jwt_key_file>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_key_request", NGX_CONF_TAKE1,
                     reads<set_jwt_key_request>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_issuer", NGX_CONF_1MORE,
                     reads<add_jwt_issuer>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_audience", NGX_CONF_1MORE,
                     reads<add_jwt_audience>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_leeway", NGX_CONF_TAKE1,
                     reads<set_jwt_leeway>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_user_claim", NGX_CONF_TAKE1,
                     reads<set_jwt_user_claim>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_jwt_version_claim", NGX_CONF_TAKE1,
                     reads<set_jwt_version_claim>, jwt, nullptr),
    ENTITLE_LOCATION("entitle_session_redis", NGX_CONF_TAKE123,
                     reads_variables<set_session_redis>, identity, nullptr),
    ENTITLE_LOCATION("entitle_trusted_user", NGX_CONF_TAKE1,
                     reads_variables<set_trusted_user>, identity, nullptr),

    // what they are told

    ENTITLE_LOCATION("entitle_login_url", NGX_CONF_TAKE1,
                     reads_variables<set_login_url>, login_url, nullptr),
    ENTITLE_LOCATION("entitle_preflight", NGX_CONF_TAKE1, reads<set_choice>,
                     preflight, preflights),
    ENTITLE_LOCATION("entitle_problem_json", NGX_CONF_FLAG,
                     ngx_conf_set_flag_slot, problem_json, nullptr),
    ENTITLE_LOCATION("entitle_cache_control", NGX_CONF_FLAG,
                     ngx_conf_set_flag_slot, cache_control, nullptr),

    // what else stands beside a gate

    ENTITLE_DIRECTIVE("entitle_redirect", NGX_HTTP_LOC_CONF | NGX_CONF_TAKE12,
                      reads_variables<set_redirect>, LOC, 0, nullptr),
    ENTITLE_DIRECTIVE("entitle_poll", NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
                      reads<set_poll>, LOC, 0, nullptr),
    ENTITLE_DIRECTIVE("entitle_logout",
                      NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1,
                      reads<set_logout>, LOC, 0, nullptr),
    ENTITLE_DIRECTIVE("entitle_status", NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
                      reads<set_status>, LOC, 0, nullptr),

    ngx_null_command};

ngx_http_module_t context = {
    add_variables,         // preconfiguration
    init_handlers,         // postconfiguration
    create_main_conf,      // create main configuration
    init_main_conf,        // init main configuration
    create_server_conf,    // create server configuration
    merge_server_conf,     // merge server configuration
    create_location_conf,  // create location configuration
    merge_location_conf,   // merge location configuration
};

}  // namespace
}  // namespace entitle::ngx

ngx_module_t ngx_http_entitle_module = {
    NGX_MODULE_V1,
    &entitle::ngx::context,      // module context
    entitle::ngx::commands,      // module directives
    NGX_HTTP_MODULE,             // module type
    nullptr,                     // init master
    entitle::ngx::init_module,   // init module
    entitle::ngx::init_process,  // init process
    nullptr,                     // init thread
    nullptr,                     // exit thread
    entitle::ngx::exit_process,  // exit process
    nullptr,                     // exit master
    NGX_MODULE_V1_PADDING,
};

namespace entitle::ngx {
namespace {

ngx_int_t
add_variables(ngx_conf_t* cf) noexcept {
    const ngx_int_t rc = add_gate_variables(cf);
    return rc == NGX_OK ? add_webhook_variables(cf) : rc;
}

ngx_int_t
access_handler(ngx_http_request_t* r) noexcept {
    switch (location_conf(r)->role) {
        case Role::webhook:
        case Role::status:
            return NGX_DECLINED;
        case Role::logout:
            return logout_access(r);
        case Role::none:
        case Role::redirect:
        case Role::poll:
            break;
    }
    return gate_handler(r);
}

ngx_int_t
add_handler(ngx_conf_t* cf, ngx_http_phases phase,
            ngx_http_handler_pt handler) {
    auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto* slot = static_cast<ngx_http_handler_pt*>(
        ngx_array_push(&core->phases[phase].handlers));
    if (slot == nullptr) {
        return NGX_ERROR;
    }
    *slot = handler;
    return NGX_OK;
}

// Loaded but unused, the module leaves every request alone.
ngx_int_t
init_handlers(ngx_conf_t* cf) noexcept {
    auto* conf = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    if (check_variables(cf) != NGX_OK || check_servers(cf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (!conf->used) {
        return NGX_OK;
    }
    // Without a gate nobody asks for a record.
    if (conf->greatest_lease != 0 && zone_add(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (conf->live && live_ends_add(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (counting_add(cf, conf) != NGX_OK || check_beliefs(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (add_handler(cf, NGX_HTTP_POST_READ_PHASE, strip_handler) != NGX_OK) {
        return NGX_ERROR;
    }
    for (const auto phase :
         {NGX_HTTP_SERVER_REWRITE_PHASE, NGX_HTTP_REWRITE_PHASE}) {
        if (add_handler(cf, phase, strip_refused_handler) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return add_handler(cf, NGX_HTTP_ACCESS_PHASE, access_handler);
}

// Null: there is no http{}.
const MainConf*
main_conf_of(ngx_cycle_t* cycle) {
    if (cycle->conf_ctx[ngx_http_module.index] == nullptr) {
        return nullptr;
    }
    return static_cast<MainConf*>(
        ngx_http_cycle_get_module_main_conf(cycle, ngx_http_entitle_module));
}

// Once for as long as this file stays mapped: not again at a reload, unless
// that loads another file.
ngx_int_t
init_module(ngx_cycle_t* cycle) noexcept {
    static bool logged = false;
    if (!logged && !ngx_test_config) {
        logged = true;
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "entitle: version %s",
                      kVersion);
    }
    const MainConf* conf = main_conf_of(cycle);
    if (conf != nullptr && conf->dry_runs != 0 && !ngx_test_config) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "entitle: dry run: %ui location%s let everybody by",
                      conf->dry_runs, conf->dry_runs == 1 ? "" : "s");
    }
    return NGX_OK;
}

ngx_int_t
init_process(ngx_cycle_t* cycle) noexcept {
    if (const MainConf* conf = main_conf_of(cycle)) {
        redis_warnings_begin(conf);
        sweep_begin(conf);
        watch_begin(conf);
    }
    return NGX_OK;
}

// What is still connected is closed here, before nginx looks for sockets that
// somebody forgot.
void
exit_process(ngx_cycle_t* cycle) noexcept {
    if (const MainConf* conf = main_conf_of(cycle)) {
        conf->worker->end();
    }
}

}  // namespace
}  // namespace entitle::ngx
