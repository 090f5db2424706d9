#include "ngx_module/conf/conf.h"

#include "ngx_module/conf/believed.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

constexpr ngx_msec_t kRedisConnectTimeout = 500;
constexpr ngx_msec_t kRedisTimeout = 500;
constexpr std::size_t kZoneSize = 8 * 1024 * 1024;
constexpr std::size_t kSessionMemory = 4 * 1024 * 1024;
constexpr time_t kWebhookTolerance = 300;
constexpr time_t kGrace = 72 * 3600;
constexpr time_t kPastDueGrace = 7 * 24 * 3600;
constexpr time_t kSessionLifetime = 12 * 3600;
constexpr time_t kSessionRecheck = 5 * 60;
constexpr ngx_uint_t kWaitLimit = 512;
constexpr ngx_uint_t kWaitLimitPer = 128;

constexpr ngx_uint_t
number(Mode mode) {
    return static_cast<ngx_uint_t>(mode);
}

constexpr ngx_uint_t
number(GateMode mode) {
    return static_cast<ngx_uint_t>(mode);
}

template <class T>
T*
make_conf(ngx_conf_t* cf) {
    return static_cast<T*>(ngx_pcalloc(cf->pool, sizeof(T)));
}

template <class T>
void
inherit(T*& child, T* parent) {
    if (child == nullptr) {
        child = parent;
    }
}

// Signed references need the keys they are signed with.
char*
check_user_from(ngx_conf_t* cf, const ServerConf* conf) {
    for (const UserFrom& from : *conf->user_from) {
        if (from.kind == UserFrom::Kind::signed_client_reference_id &&
            conf->reference == nullptr) {
            return missing(cf, conf->user_from_where,
                           "\"client_reference_id=signed\" needs "
                           "\"entitle_session_key_file\", whose keys sign");
        }
    }
    return NGX_CONF_OK;
}

void
merge_policy(ngx_conf_t* cf, ServerConf* prev, ServerConf* conf) {
    ngx_conf_merge_value(conf->grace, prev->grace, kGrace);
    ngx_conf_merge_value(conf->past_due_grace, prev->past_due_grace,
                         kPastDueGrace);
    ngx_conf_merge_value(conf->provisional, prev->provisional, 0);
    ngx_conf_merge_uint_value(conf->refund_revokes, prev->refund_revokes, 1);
    ngx_conf_merge_uint_value(conf->dispute_revokes, prev->dispute_revokes, 1);
    ngx_conf_merge_uint_value(conf->pause_revokes, prev->pause_revokes, 0);

    own(cf, conf->policy) = Policy{
        .grace = Seconds{conf->grace},
        .past_due_grace = Seconds{conf->past_due_grace},
        .provisional = Seconds{conf->provisional},
        .refund_revokes = conf->refund_revokes == 1,
        .dispute_revokes = conf->dispute_revokes == 1,
        .pause_revokes = conf->pause_revokes == 1,
    };
}

void
merge_sessions(ngx_conf_t* cf, ServerConf* prev, ServerConf* conf) {
    inherit_list(conf->raw_session_keys, prev->raw_session_keys);
    if (conf->raw_session_keys != nullptr) {
        conf->session_keys =
            pool_new<SessionKeys>(cf->pool, *conf->raw_session_keys);
        conf->reference =
            pool_new<ClientReference>(cf->pool, *conf->raw_session_keys);
        conf->browser_keys =
            pool_new<BrowserKeys>(cf->pool, *conf->raw_session_keys);
        if (conf->session_keys == nullptr || conf->reference == nullptr ||
            conf->browser_keys == nullptr) {
            throw std::bad_alloc();
        }
    }
    inherit(conf->cookie, prev->cookie);
    own(cf, conf->cookie);
    own(cf, conf->browser_cookie) = *conf->cookie;
    conf->browser_cookie->name += "-guest";
    if (conf->session_scope.data == nullptr) {
        conf->session_scope = prev->session_scope;
    }
    own(cf, conf->audience) = std::string(view(conf->prefix));
    conf->audience->append(name(static_cast<Mode>(conf->mode)));
}

char*
merge_server(ngx_conf_t* cf, ServerConf* prev, ServerConf* conf) {
    ngx_conf_merge_uint_value(conf->mode, prev->mode, number(Mode::live));
    ngx_conf_merge_str_value(conf->prefix, prev->prefix, kPrefix);
    conf->keys = pool_new<Keys>(cf->pool, view(conf->prefix),
                                static_cast<Mode>(conf->mode));
    if (conf->keys == nullptr) {
        throw std::bad_alloc();
    }

    if (conf->user_from == nullptr) {
        conf->user_from_where = prev->user_from_where;
        inherit(conf->user_from, prev->user_from);
    }
    if (conf->user_from == nullptr) {
        own(cf, conf->user_from) = default_user_from();
    }
    inherit(conf->grants, prev->grants);
    own(cf, conf->grants);
    merge_credits(prev, conf);

    merge_policy(cf, prev, conf);
    merge_sessions(cf, prev, conf);
    // nginx's own modules have merged before us.
    auto* here = static_cast<ngx_http_conf_ctx_t*>(cf->ctx);
    conf->certificates = certificate_is_verified(cf, here->srv_conf);
    return check_user_from(cf, conf);
}

char*
merge_webhook(ngx_conf_t* cf, LocationConf* prev, LocationConf* conf) {
    inherit_list(conf->webhook_secrets, prev->webhook_secrets);
    inherit_list(conf->webhook_accounts, prev->webhook_accounts);
    if (conf->stripe_request.data == nullptr) {
        conf->stripe_request = prev->stripe_request;
        conf->stripe_request_where = prev->stripe_request_where;
    }
    ngx_conf_merge_value(conf->webhook_tolerance, prev->webhook_tolerance,
                         kWebhookTolerance);

    if (conf->webhook == 0) {
        return NGX_CONF_OK;
    }

    if (conf->webhook_secrets == nullptr) {
        return missing(cf, conf->role_where,
                       "\"entitle_webhook\" needs "
                       "\"entitle_webhook_secret_file\": nothing is believed "
                       "without a signature");
    }
    const auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (core->internal == 1) {
        return missing(cf, conf->role_where,
                       "\"internal\" keeps everybody out who comes from "
                       "outside, and so does Stripe: it contradicts "
                       "\"entitle_webhook\"");
    }
    auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    conf->webhook_keys =
        pool_new<Keys>(cf->pool, view(server->prefix),
                       conf->webhook == 2 ? Mode::live : Mode::test);
    if (conf->webhook_keys == nullptr) {
        throw std::bad_alloc();
    }
    return NGX_CONF_OK;
}

// Said once a directive, not once for each location that inherits it.
void
warn_unbound(ngx_conf_t* cf, const Where& at) {
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    if (main->unbound_reauth.line == at.line &&
        view(main->unbound_reauth.file) == view(at.file)) {
        return;
    }
    main->unbound_reauth = at;
    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"entitle_reauth\" without \"entitle_session_bind\": who "
                  "logs out of the app stays recognised until the next "
                  "recheck, in %V:%ui",
                  &at.file, at.line);
}

char*
check_gate(ngx_conf_t* cf, const LocationConf* conf) {
    auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    const bool edge = identity_kind(conf) == IdentitySource::Kind::edge_session;
    if (edge && server->session_keys == nullptr) {
        return missing(cf, conf->gate_where,
                       "a gate needs \"entitle_session_key_file\": without it "
                       "nobody could be recognised, required by the directive");
    }
    if (char* refused = check_reauth(cf, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    if (edge && conf->reauth.len != 0 && conf->session_bind == nullptr) {
        warn_unbound(cf, conf->reauth_where);
    }
    if (char* refused = check_guest(cf, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    return check_identity(cf, conf);
}

bool
requires_something(const LocationConf* conf) {
    return conf->require != nullptr && !is_cancelled(conf->require);
}

char*
merge_gate(ngx_conf_t* cf, LocationConf* prev, LocationConf* conf) {
    conf->gate_said = conf->gate != NGX_CONF_UNSET_UINT ||
                      requires_something(conf) || is_metered(conf) ||
                      conf->poll != 0;
    if (conf->gate_said) {
        if (char* refused = check_ungated(cf, conf); refused != NGX_CONF_OK) {
            return refused;
        }
    }
    merge_guest(prev, conf);
    if (conf->poll != 0) {
        if (conf->gate != NGX_CONF_UNSET_UINT &&
            conf->gate != number(GateMode::on)) {
            return missing(cf, conf->gate_where,
                           "\"entitle_poll\" has to know who is waiting, "
                           "contradicted by the directive");
        }
        conf->gate = number(GateMode::on);
    }

    // Naming requirements implies `entitle on`, but not over a nearer word;
    // in http{} too, which is merged into nothing and comes as `prev` alone.
    for (LocationConf* level : {prev, conf}) {
        if ((requires_something(level) || is_metered(level)) &&
            level->gate == NGX_CONF_UNSET_UINT) {
            level->gate = number(GateMode::on);
        }
    }
    if (conf->gate == NGX_CONF_UNSET_UINT) {
        conf->gate_where = prev->gate_where;
    }
    ngx_conf_merge_uint_value(conf->gate, prev->gate, number(GateMode::off));
    inherit_list(conf->require, prev->require);
    inherit_list(conf->session_bind, prev->session_bind);
    inherit_list(conf->reauth_key, prev->reauth_key);
    inherit_list(conf->credentials, prev->credentials);
    merge_reauth(prev, conf);
    merge_identity(cf, prev, conf);
    merge_cache(prev, conf);
    merge_wait(cf, prev, conf);
    ngx_conf_merge_uint_value(conf->preflight, prev->preflight, 0);
    if (conf->dry_run == NGX_CONF_UNSET_UINT) {
        conf->dry_run_where = prev->dry_run_where;
    }
    ngx_conf_merge_uint_value(conf->dry_run, prev->dry_run, 0);
    merge_session(cf, prev, conf);
    ngx_conf_merge_value(conf->session_lifetime, prev->session_lifetime,
                         kSessionLifetime);
    ngx_conf_merge_value(conf->session_recheck, prev->session_recheck,
                         kSessionRecheck);
    ngx_conf_merge_value(conf->problem_json, prev->problem_json, 1);
    ngx_conf_merge_value(conf->cache_control, prev->cache_control, 1);

    if (char* refused = merge_meter(cf, prev, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    if (conf->role == Role::logout) {
        return check_logout(cf, conf);
    }
    if (!conf->gated()) {
        return NGX_CONF_OK;
    }
    note_gate(cf, conf);
    return check_gate(cf, conf);
}

char*
merge_location(ngx_conf_t* cf, LocationConf* prev, LocationConf* conf) {
    char* result = merge_role(cf, prev, conf);
    if (result == NGX_CONF_OK) {
        result = merge_webhook(cf, prev, conf);
    }
    if (result == NGX_CONF_OK) {
        result = merge_gate(cf, prev, conf);
    }
    if (conf->webhook != 0 || conf->gate != number(GateMode::off) ||
        conf->role == Role::logout) {
        auto* main = static_cast<MainConf*>(
            ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
        main->used = 1;
    }
    return result;
}

}  // namespace

char*
missing(ngx_conf_t* cf, const Where& at, const char* why) {
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in %V:%ui", why, &at.file,
                  at.line);
    return static_cast<char*>(NGX_CONF_ERROR);
}

void*
create_main_conf(ngx_conf_t* cf) noexcept {
    auto* conf = make_conf<MainConf>(cf);
    if (conf != nullptr) {
        conf->worker = pool_new<Worker>(cf->pool);
        if (conf->worker == nullptr) {
            return nullptr;
        }
        conf->counted = counting_alone();
        conf->loaded = ngx_time();
        conf->redis_connect_timeout = NGX_CONF_UNSET_MSEC;
        conf->redis_timeout = NGX_CONF_UNSET_MSEC;
        conf->redis_ssl.on = NGX_CONF_UNSET;
        conf->redis_ssl.verify = NGX_CONF_UNSET;
        conf->zone_size = NGX_CONF_UNSET_SIZE;
        conf->session_memory = NGX_CONF_UNSET_SIZE;
        conf->wait_limit = NGX_CONF_UNSET_UINT;
        conf->wait_limit_per = NGX_CONF_UNSET_UINT;
    }
    return conf;
}

char*
init_main_conf(ngx_conf_t* cf, void* data) noexcept {
    auto* conf = static_cast<MainConf*>(data);
    ngx_conf_init_msec_value(conf->redis_connect_timeout, kRedisConnectTimeout);
    ngx_conf_init_msec_value(conf->redis_timeout, kRedisTimeout);
    ngx_conf_init_size_value(conf->zone_size, kZoneSize);
    ngx_conf_init_size_value(conf->session_memory, kSessionMemory);
    ngx_conf_init_uint_value(conf->wait_limit, kWaitLimit);
    ngx_conf_init_uint_value(conf->wait_limit_per,
                             std::min(conf->wait_limit, kWaitLimitPer));
    return edge::configure(cf, [&] { return init_redis(cf, conf); });
}

void*
create_server_conf(ngx_conf_t* cf) noexcept {
    auto* conf = make_conf<ServerConf>(cf);
    if (conf != nullptr) {
        conf->mode = NGX_CONF_UNSET_UINT;
        conf->grace = NGX_CONF_UNSET;
        conf->past_due_grace = NGX_CONF_UNSET;
        conf->provisional = NGX_CONF_UNSET;
        conf->refund_revokes = NGX_CONF_UNSET_UINT;
        conf->dispute_revokes = NGX_CONF_UNSET_UINT;
        conf->pause_revokes = NGX_CONF_UNSET_UINT;
    }
    return conf;
}

char*
merge_server_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
    return edge::configure(cf, [&] {
        return merge_server(cf, static_cast<ServerConf*>(parent),
                            static_cast<ServerConf*>(child));
    });
}

void*
create_location_conf(ngx_conf_t* cf) noexcept {
    auto* conf = make_conf<LocationConf>(cf);
    if (conf != nullptr) {
        conf->webhook_tolerance = NGX_CONF_UNSET;
        conf->gate = NGX_CONF_UNSET_UINT;
        conf->preflight = NGX_CONF_UNSET_UINT;
        conf->dry_run = NGX_CONF_UNSET_UINT;
        conf->session_lifetime = NGX_CONF_UNSET;
        conf->session_recheck = NGX_CONF_UNSET;
        conf->lease = NGX_CONF_UNSET_MSEC;
        conf->stale = NGX_CONF_UNSET;
        conf->redis_down = NGX_CONF_UNSET_UINT;
        conf->live = NGX_CONF_UNSET_UINT;
        conf->wait.time = NGX_CONF_UNSET_MSEC;
        conf->problem_json = NGX_CONF_UNSET;
        conf->cache_control = NGX_CONF_UNSET;
    }
    return conf;
}

char*
merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
    return edge::configure(cf, [&] {
        return merge_location(cf, static_cast<LocationConf*>(parent),
                              static_cast<LocationConf*>(child));
    });
}

}  // namespace entitle::ngx
