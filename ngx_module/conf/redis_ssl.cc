// The directives entitle_redis_ssl_...: whether TLS is spoken with Redis, and
// the context for it. What a connection does with that: redis_client/ssl.h.

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

#if (NGX_SSL)

constexpr ngx_int_t kDepth = 10;  // of chains: nothing real has more

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

}  // namespace entitle::ngx
