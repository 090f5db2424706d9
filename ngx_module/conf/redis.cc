// Directives about Redis.

#include "ngx_module/conf/conf.h"
#include "ngx_module/redis_client/names.h"

namespace entitle::ngx {
namespace {

// Refuses a name without a resolver: nothing is looked up here.
char*
check_host(ngx_conf_t* cf, const MainConf& conf, const Endpoint& endpoint,
           const Where& at) {
    if (conf.resolver != nullptr || !known_addresses(endpoint).empty()) {
        return NGX_CONF_OK;
    }
    std::string why = "host \"" + endpoint.host.host +
                      "\" is a name: http{} needs \"resolver\" with the "
                      "address of a DNS server, required by the directive";
    return missing(cf, at, why.c_str());
}

// The one line of a file, without what ends it.
char*
read_password(ngx_conf_t* cf, std::string*& password) {
    if (password != nullptr) {
        return duplicate();
    }
    const ngx_str_t& file = arguments(cf)[1];
    std::optional<std::string> content = read_conf_file(cf, file);
    if (!content) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    while (content->ends_with('\n') || content->ends_with('\r')) {
        content->pop_back();
    }
    if (content->empty() || content->find('\n') != std::string::npos) {
        return invalid_value(cf, view(file),
                             "the file must hold one line, the password");
    }
    own(cf, password) = std::move(*content);
    return NGX_CONF_OK;
}

char*
check_user(ngx_conf_t* cf, const MainConf* conf) {
    bool named = conf->redis_user.len != 0;
    bool in_address = !conf->redis_address->user.empty();
    if ((named || in_address) && conf->redis_password == nullptr) {
        return missing(cf, conf->redis_user_where,
                       "a Redis user needs \"entitle_redis_password_file\", "
                       "required by the directive");
    }
    if (named && in_address &&
        view(conf->redis_user) != conf->redis_address->user) {
        return missing(cf, conf->redis_user_where,
                       "\"entitle_redis_user\" contradicts the user in the "
                       "address of \"entitle_redis\"");
    }
    if (conf->sentinel_password != nullptr &&
        conf->redis_address->kind != RedisAddress::Kind::sentinel) {
        return missing(cf, conf->sentinel_password_where,
                       "\"entitle_redis_sentinel_password_file\" needs "
                       "\"entitle_redis sentinel://...\"");
    }
    return NGX_CONF_OK;
}

// The `resolver` of http{}, if it has one.
void
find_resolver(ngx_conf_t* cf, MainConf* conf) {
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    // Merging leaves one that knows no server.
    if (core->resolver != nullptr && compat::knows_a_server(core->resolver)) {
        conf->resolver = core->resolver;
    }
    conf->resolver_timeout = core->resolver_timeout == NGX_CONF_UNSET_MSEC
                                 ? 30000
                                 : core->resolver_timeout;
}

bool
fits_a_socket(const RedisAddress& address) {
    return address.path.size() < sizeof(sockaddr_un::sun_path);
}

constexpr std::string_view kPathTooLong =
    "the path of a socket has at most 107 bytes";

// Empty: none.
std::string_view
fault_of_replica(const RedisAddress& address) {
    if (address.kind == RedisAddress::Kind::sentinel ||
        address.kind == RedisAddress::Kind::cluster) {
        return "it must be the address of a replica: redis://host[:port][/db], "
               "rediss://host[:port][/db] or unix:/path[:db]";
    }
    if (!address.user.empty()) {
        return "replicas know the user of \"entitle_redis\", and no other";
    }
    return fits_a_socket(address) ? std::string_view{} : kPathTooLong;
}

// Whether the replicas go with their primary.
char*
check_replicas(ngx_conf_t* cf, const MainConf* conf) {
    const RedisAddress& primary = *conf->redis_address;
    if (primary.kind == RedisAddress::Kind::cluster) {
        return missing(cf, conf->redis_read_where,
                       "\"entitle_redis_read\" does not go with "
                       "\"entitle_redis cluster://...\"");
    }
    for (const RedisAddress& replica : *conf->redis_read_addresses) {
        if (replica.db != primary.db) {
            return missing(cf, conf->redis_read_where,
                           "a replica has the same data as its primary: the "
                           "database must be that of \"entitle_redis\", "
                           "required by the directive");
        }
        if (replica.ssl && conf->redis_ssl.ssl == nullptr) {
            return missing(cf, conf->redis_read_where,
                           "rediss:// of a replica needs rediss:// in "
                           "\"entitle_redis\", or \"entitle_redis_ssl on\", "
                           "required by the directive");
        }
    }
    return NGX_CONF_OK;
}

char*
init_replicas(ngx_conf_t* cf, MainConf* conf) {
    if (conf->redis_read_addresses == nullptr) {
        return NGX_CONF_OK;
    }
    if (char* refused = check_replicas(cf, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    own(cf, conf->redis_read) = replicas_of(*conf);
    for (const Endpoint& endpoint : *conf->redis_read) {
        if (char* refused =
                check_host(cf, *conf, endpoint, conf->redis_read_where);
            refused != NGX_CONF_OK) {
            return refused;
        }
    }
    return NGX_CONF_OK;
}

}  // namespace

char*
set_redis(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->redis_address != nullptr) {
        return duplicate();
    }
    conf->redis = arguments(cf)[1];
    conf->redis_where = where(cf);
    ParsedRedisAddress parsed = parse_redis_address(view(conf->redis));
    if (!parsed.address) {
        return invalid_value(cf, without_user(view(conf->redis)), parsed.error);
    }
    if (!parsed.address->user.empty() && conf->redis_user_where.line == 0) {
        conf->redis_user_where = where(cf);
    }
    const RedisAddress& address = own(cf, conf->redis_address) =
        std::move(*parsed.address);
    if (!fits_a_socket(address)) {
        return invalid_value(cf, view(conf->redis), kPathTooLong);
    }
    return NGX_CONF_OK;
}

char*
set_redis_read(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->redis_read_addresses != nullptr) {
        return duplicate();
    }
    conf->redis_read_where = where(cf);
    auto& addresses = own(cf, conf->redis_read_addresses);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        const std::string_view text = view(arguments(cf)[i]);
        ParsedRedisAddress parsed = parse_redis_address(text);
        std::string_view why = parsed.error;
        if (parsed.address) {
            why = fault_of_replica(*parsed.address);
        }
        if (!why.empty()) {
            return invalid_value(cf, without_user(text), why);
        }
        addresses.push_back(std::move(*parsed.address));
    }
    return NGX_CONF_OK;
}

char*
init_redis(ngx_conf_t* cf, MainConf* conf) {
    if (conf->redis_address == nullptr) {
        ngx_str_set(&conf->redis, "redis://127.0.0.1:6379");
        own(cf, conf->redis_address) =
            *parse_redis_address(view(conf->redis)).address;
    }
    char* result = init_redis_ssl(cf, conf);
    if (result != NGX_CONF_OK) {
        return result;
    }
    find_resolver(cf, conf);
    own(cf, conf->redis_endpoints) = endpoints_of(*conf);
    for (const Endpoint& endpoint : *conf->redis_endpoints) {
        if (char* refused = check_host(cf, *conf, endpoint, conf->redis_where);
            refused != NGX_CONF_OK) {
            return refused;
        }
    }
    if (char* refused = init_replicas(cf, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    return check_user(cf, conf);
}

char*
set_redis_user(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    if (view(arguments(cf)[1]).empty()) {
        return invalid_value(cf, {},
                             "it must be the name of an ACL user, and is not "
                             "there for Redis' default user");
    }
    static_cast<MainConf*>(data)->redis_user_where = where(cf);
    return ngx_conf_set_str_slot(cf, command, data);
}

char*
set_redis_password_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return read_password(cf, static_cast<MainConf*>(data)->redis_password);
}

char*
set_sentinel_password_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    conf->sentinel_password_where = where(cf);
    return read_password(cf, conf->sentinel_password);
}

char*
set_redis_prefix(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    std::string_view prefix = view(arguments(cf)[1]);
    auto& kept = static_cast<ServerConf*>(data)->prefix;
    if (says_off(cf) && kept.data == nullptr) {
        kept = str(kPrefix);  // as where nothing was said
        return NGX_CONF_OK;
    }
    for (char c : prefix) {
        if (c <= ' ' || c > '~' || c == '{' || c == '}') {
            return invalid_value(cf, prefix,
                                 "it must be printable ASCII without spaces, "
                                 "\"{\" and \"}\", which mark Cluster slots");
        }
    }
    if (prefix.empty()) {
        return invalid_value(cf, prefix, "it must not be empty");
    }
    return ngx_conf_set_str_slot(cf, command, data);
}

char*
set_redis_wait(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->replica_wait != 0) {
        return duplicate();
    }
    constexpr ngx_int_t most_replicas = 100;
    constexpr ngx_int_t most_msec = 20000;  // Stripe itself waits some 20 s
    ngx_str_t& count = arguments(cf)[1];
    ngx_str_t& time = arguments(cf)[2];
    ngx_int_t replicas = ngx_atoi(count.data, count.len);
    if (replicas < 1 || replicas > most_replicas) {
        return invalid_value(cf, view(count),
                             "it must be a number of replicas, 1 to 100");
    }
    ngx_int_t msec = ngx_parse_time(&time, 0);
    if (msec < 1 || msec > most_msec) {
        return invalid_value(cf, view(time),
                             "it must be a time from 1ms to 20s");
    }
    conf->replica_wait = replicas;
    conf->replica_wait_time = static_cast<ngx_msec_t>(msec);
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
