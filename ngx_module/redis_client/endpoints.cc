#include "ngx_module/redis_client/endpoints.h"

#include "ngx_module/settings.h"

namespace entitle::ngx {

socklen_t
socket_address(const Endpoint& endpoint, ngx_sockaddr_t& address) {
    ngx_memzero(&address, sizeof(address));
    if (!endpoint.path.empty()) {
        sockaddr_un& socket = address.sockaddr_un;
        socket.sun_family = AF_UNIX;
        endpoint.path.copy(socket.sun_path, sizeof(socket.sun_path) - 1);
        return sizeof(socket);
    }
    const char* host = endpoint.host.host.c_str();
    if (inet_pton(AF_INET, host, &address.sockaddr_in.sin_addr) == 1) {
        address.sockaddr_in.sin_family = AF_INET;
        address.sockaddr_in.sin_port = htons(endpoint.host.port);
        return sizeof(address.sockaddr_in);
    }
    if (inet_pton(AF_INET6, host, &address.sockaddr_in6.sin6_addr) == 1) {
        address.sockaddr_in6.sin6_family = AF_INET6;
        address.sockaddr_in6.sin6_port = htons(endpoint.host.port);
        return sizeof(address.sockaddr_in6);
    }
    return 0;
}

Endpoint
redis_node(const MainConf& conf, RedisHost host) {
    Endpoint endpoint;
    endpoint.host = std::move(host);
    endpoint.ssl = conf.redis_address->ssl;
    endpoint.login = Endpoint::Login::redis;
    endpoint.db = conf.redis_address->db;
    return endpoint;
}

std::vector<Endpoint>
endpoints_of(const MainConf& conf) {
    const RedisAddress& address = *conf.redis_address;
    std::vector<Endpoint> endpoints;
    if (address.kind == RedisAddress::Kind::unix_socket) {
        endpoints.push_back(redis_node(conf, {}));
        endpoints.back().path = address.path;
    }
    for (const RedisHost& host : address.hosts) {
        endpoints.push_back(redis_node(conf, host));
        if (address.kind == RedisAddress::Kind::sentinel) {
            endpoints.back().login = Endpoint::Login::sentinel;
            endpoints.back().db = 0;
        }
    }
    return endpoints;
}

std::vector<Endpoint>
replicas_of(const MainConf& conf) {
    std::vector<Endpoint> endpoints;
    for (const RedisAddress& address : *conf.redis_read_addresses) {
        const bool socket = address.kind == RedisAddress::Kind::unix_socket;
        Endpoint endpoint =
            redis_node(conf, socket ? RedisHost{} : address.hosts.front());
        endpoint.path = address.path;
        // entitle_redis_ssl says it for all of them.
        endpoint.ssl = address.ssl || (conf.redis_ssl.on == 1 && !socket);
        endpoints.push_back(std::move(endpoint));
    }
    return endpoints;
}

}  // namespace entitle::ngx
