#include "ngx_module/redis_client/ssl.h"

namespace entitle::ngx {

#if (NGX_SSL)

namespace {

constexpr std::size_t kPoolSize = 512;

bool
is_address(const std::string& name) {
    in6_addr address;
    return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, name.c_str(), &address) == 1;
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

}  // namespace

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
