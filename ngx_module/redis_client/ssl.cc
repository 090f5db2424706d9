#include "ngx_module/redis_client/ssl.h"

namespace entitle::ngx {
namespace {

#if (NGX_SSL)

constexpr ngx_int_t kDepth = 10;  // of chains: nothing real has more
constexpr std::size_t kPoolSize = 512;

bool
is_address(const std::string& name) {
    in6_addr address;
    return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

ngx_int_t
use_certificates(ngx_conf_t* cf, RedisSsl& settings) {
    if (settings.certificate.len != 0 &&
        ngx_ssl_certificate(cf, settings.ssl, &settings.certificate,
                            &settings.certificate_key, nullptr) != NGX_OK) {
        return NGX_ERROR;
    }
    if (settings.trusted_certificate.len == 0) {
        SSL_CTX_set_default_verify_paths(settings.ssl->ctx);
    } else if (SSL_CTX_load_verify_locations(
                   settings.ssl->ctx,
                   reinterpret_cast<char*>(settings.trusted_certificate.data),
                   nullptr) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      const_cast<char*>("no certificates in \"%V\""),
                      &settings.trusted_certificate);
        return NGX_ERROR;
    }
    ERR_clear_error();
    SSL_CTX_set_verify_depth(settings.ssl->ctx, kDepth);
    return NGX_OK;
}

char*
make_context(ngx_conf_t* cf, RedisSsl& settings) {
    settings.ssl =
        static_cast<ngx_ssl_t*>(ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t)));
    ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (settings.ssl == nullptr || cleanup == nullptr) {
        throw std::bad_alloc();
    }
    settings.ssl->log = cf->log;
    if (ngx_ssl_create(settings.ssl, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3,
                       nullptr) != NGX_OK) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    cleanup->handler = ngx_ssl_cleanup_ctx;
    cleanup->data = settings.ssl;

    // What waits to be sent is kept in a string that grows.
    SSL_CTX_set_mode(
        settings.ssl->ctx,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(settings.ssl->ctx, SSL_OP_NO_RENEGOTIATION);
    if (use_certificates(cf, settings) != NGX_OK) {
        return missing(cf, settings.where,
                       "TLS to Redis is not possible with the certificates of "
                       "\"entitle_redis_ssl_...\"");
    }
    return NGX_CONF_OK;
}

// A handshake that finds another server goes on, and its result says so.
bool
expect_name(SSL* ssl, const std::string& name) {
    X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(expected,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // RFC 6066 section 3: no addresses in SNI.
    return X509_VERIFY_PARAM_set1_host(expected, name.data(), name.size()) ==
               1 &&
           SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

#endif

char*
check_redis_ssl(ngx_conf_t* cf, MainConf* conf) {
    RedisSsl& settings = conf->redis_ssl;
    if (settings.on == 0 && conf->redis_address->ssl) {
        return missing(cf, settings.where,
                       "\"entitle_redis_ssl off\" contradicts rediss://");
    }
    if (settings.on == 1 &&
        conf->redis_address->kind == RedisAddress::Kind::unix_socket) {
        return missing(cf, settings.where,
                       "Redis speaks no TLS on a unix socket, demanded by "
                       "\"entitle_redis_ssl\"");
    }
    if ((settings.certificate.len == 0) !=
        (settings.certificate_key.len == 0)) {
        return missing(cf, settings.where,
                       "\"entitle_redis_ssl_certificate\" and "
                       "\"entitle_redis_ssl_certificate_key\" need each other");
    }
    return NGX_CONF_OK;
}

// Notes where it stands, or says that it cannot be.
char*
note_redis_ssl(ngx_conf_t* cf, MainConf* conf) {
#if (NGX_SSL)
    conf->redis_ssl.where = where(cf);
    return NGX_CONF_OK;
#else
    (void)conf;
    return invalid_value(cf, view(arguments(cf)[1]),
                         "this nginx was built without OpenSSL");
#endif
}

}  // namespace

char*
set_redis_ssl_flag(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    char* result = note_redis_ssl(cf, static_cast<MainConf*>(data));
    return result == NGX_CONF_OK ? ngx_conf_set_flag_slot(cf, command, data)
                                 : result;
}

char*
set_redis_ssl_text(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    char* result = note_redis_ssl(cf, static_cast<MainConf*>(data));
    if (result == NGX_CONF_OK && arguments(cf)[1].len == 0) {
        return invalid_value(cf, "", "it must not be empty");
    }
    return result == NGX_CONF_OK ? ngx_conf_set_str_slot(cf, command, data)
                                 : result;
}

char*
set_redis_ssl_file(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    char* result = set_redis_ssl_text(cf, command, data);
    if (result != NGX_CONF_OK) {
        return result;
    }
    auto* path = reinterpret_cast<ngx_str_t*>(static_cast<char*>(data) +
                                              command->offset);
    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    ngx_fd_t fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read the file \"%V\" of \"%V\"", path,
                           &arguments(cf)[0]);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    ngx_close_file(fd);
    return NGX_CONF_OK;
}

char*
init_redis_ssl(ngx_conf_t* cf, MainConf* conf) {
    RedisSsl& settings = conf->redis_ssl;
    if (char* result = check_redis_ssl(cf, conf); result != NGX_CONF_OK) {
        return result;
    }
    bool more_than_off =
        settings.verify != NGX_CONF_UNSET || settings.name.len != 0 ||
        settings.trusted_certificate.len != 0 || settings.certificate.len != 0;
    ngx_conf_init_value(settings.verify, 1);
    if (settings.on != 1 && !conf->redis_address->ssl) {
        if (more_than_off) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "\"entitle_redis_ssl_...\" does nothing without "
                          "\"entitle_redis_ssl on\" or rediss://, in %V:%ui",
                          &settings.where.file, settings.where.line);
        }
        return NGX_CONF_OK;
    }
    conf->redis_address->ssl = true;
#if (NGX_SSL)
    return make_context(cf, settings);
#else
    return invalid_value(cf, view(conf->redis),
                         "this nginx was built without OpenSSL");
#endif
}

#if (NGX_SSL)

ngx_int_t
ssl_begin(const MainConf& conf, ngx_connection_t* c, const Endpoint& endpoint,
          void (*done)(ngx_connection_t* c)) {
    const RedisSsl& settings = conf.redis_ssl;
    std::string name = settings.name.len != 0 ? std::string(view(settings.name))
                                              : endpoint.host.host;
    c->pool = ngx_create_pool(kPoolSize, c->log);
    if (c->pool == nullptr ||
        ngx_ssl_create_connection(settings.ssl, c, NGX_SSL_CLIENT) != NGX_OK ||
        !expect_name(c->ssl->connection, name)) {
        return NGX_ERROR;
    }
    c->ssl->handler = done;
    return ngx_ssl_handshake(c);
}

std::string
ssl_fault(const MainConf& conf, ngx_connection_t* c) {
    if (!c->ssl->handshaked) {
        return "the TLS handshake failed";
    }
    if (!conf.redis_ssl.verify) {
        return {};
    }
    SSL* ssl = c->ssl->connection;
    X509* certificate = SSL_get_peer_certificate(ssl);
    if (certificate == nullptr) {
        return "it sent no certificate";
    }
    X509_free(certificate);
    const long result = SSL_get_verify_result(ssl);
    if (result == X509_V_OK) {
        return {};
    }
    return "its certificate is not to be trusted (" + std::to_string(result) +
           ": " + X509_verify_cert_error_string(result) + ")";
}

void
ssl_end(ngx_connection_t* c) {
    if (c->ssl != nullptr) {
        c->ssl->no_wait_shutdown = 1;
        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->timedout = 1;  // nobody reads: no goodbye then
            ngx_ssl_shutdown(c);
        }
    }
    if (c->pool != nullptr) {
        ngx_destroy_pool(c->pool);
        c->pool = nullptr;
    }
}

#else

ngx_int_t
ssl_begin(const MainConf&, ngx_connection_t*, const Endpoint&,
          void (*)(ngx_connection_t*)) {
    return NGX_ERROR;
}

std::string
ssl_fault(const MainConf&, ngx_connection_t*) {
    return "this nginx was built without OpenSSL";
}

void
ssl_end(ngx_connection_t*) {}

#endif

}  // namespace entitle::ngx
