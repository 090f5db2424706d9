// Where connections to Redis go: as configured (MainConf::redis_endpoints), or,
// for servers that Sentinels or cluster nodes name, by redis_node().
#pragma once

#include <vector>

#include "core/redis/endpoint.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

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
