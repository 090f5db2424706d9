// TLS to Redis: the few things a connection does with nginx's SSL layer, in the
// context that the configuration has made (conf/redis_ssl.cc). After a
// handshake `c->recv` and `c->send` are the SSL layer's; nothing else changes
// for whoever uses the connection.
//
// The server is believed when its certificate has a chain to the trusted
// certificates (the system's, where none are named) and is for
// entitle_redis_ssl_name or else the host the connection goes to: names by
// X509_check_host, addresses by the IP addresses in the certificate. Nothing
// is said to it, no password either, before that.
//
// An nginx built without OpenSSL refuses the directives and rediss://; nothing
// here is called there.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

// On a connected socket: NGX_OK, NGX_ERROR (logged), or NGX_AGAIN: `done` is
// called from the event loop when it is over. Ended by ssl_end in any case.
ngx_int_t ssl_begin(const MainConf& conf, ngx_connection_t* c,
                    const Endpoint& endpoint,
                    void (*done)(ngx_connection_t* c));

// Of a handshake that is over: why the connection must not be used, or nothing.
std::string ssl_fault(const MainConf& conf, ngx_connection_t* c);

// Before the socket is closed: says goodbye, without waiting for an answer,
// and frees everything.
void ssl_end(ngx_connection_t* c);

}  // namespace entitle::ngx
