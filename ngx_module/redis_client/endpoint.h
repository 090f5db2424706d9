// Where a connection to Redis goes and how it greets. Made from the
// configuration (MainConf::redis_endpoints) or, for servers that Sentinels or
// cluster nodes name, by redis_node(). A value: copied freely, compared to see
// whether a connection has to be made anew.
#pragma once

#include <string>
#include <vector>

#include "core/redis/address.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

struct MainConf;

struct Endpoint {
    // Whose password is given: nobody's, the Redis user's, the Sentinels'.
    enum class Login { none, redis, sentinel };

    RedisHost host;    // a name, or an IPv4 or IPv6 address in text
    std::string path;  // of a unix socket: then there is no host
    bool ssl = false;
    Login login = Login::none;
    int db = 0;

    // host:port, [ipv6]:port or unix:/path, for logs and as an instance's name.
    std::string text() const;
    bool operator==(const Endpoint&) const = default;
};

// Another server of those entitle_redis is about: with its user, its database
// and its TLS.
Endpoint redis_node(const MainConf& conf, RedisHost host);

// The socket address of a literal host or path; 0: the host is a name. The
// result is its length.
socklen_t socket_address(const Endpoint& endpoint, ngx_sockaddr_t& address);

// What entitle_redis names: the one server, the Sentinels, or some nodes of
// the cluster.
std::vector<Endpoint> endpoints_of(const MainConf& conf);
// Likewise what entitle_redis_read names.
std::vector<Endpoint> replicas_of(const MainConf& conf);

}  // namespace entitle::ngx
