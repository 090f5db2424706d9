#include "ngx_module/redis_client/names.h"

#include <algorithm>

#include "ngx_module/edge.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {
namespace {

// What an answer's time to live is taken for: shorter would be busy work, and
// a fail-over by DNS should not wait for longer.
constexpr time_t kShortest = 1;
constexpr time_t kLongest = 60;
constexpr time_t kAfterError = 5;

SocketAddress
literal(const std::string& address, std::uint16_t port) {
    Endpoint endpoint;
    endpoint.host = {address, port};
    SocketAddress result;
    result.length = socket_address(endpoint, result.socket);
    return result;
}

// The bytes that tell addresses of one family and port apart.
std::string_view
bytes_of(const SocketAddress& address) {
    const bool ipv4 = address.socket.sockaddr.sa_family == AF_INET;
    const void* data =
        ipv4 ? static_cast<const void*>(&address.socket.sockaddr_in.sin_addr)
             : &address.socket.sockaddr_in6.sin6_addr;
    return {static_cast<const char*>(data),
            ipv4 ? sizeof(in_addr) : sizeof(in6_addr)};
}

bool
comes_before(const SocketAddress& a, const SocketAddress& b) {
    if (a.socket.sockaddr.sa_family != b.socket.sockaddr.sa_family) {
        return a.socket.sockaddr.sa_family == AF_INET;
    }
    return bytes_of(a) < bytes_of(b);
}

}  // namespace

// Each was zeroed before it was filled.
bool
SocketAddress::operator==(const SocketAddress& other) const {
    return length == other.length &&
           ngx_memcmp(&socket, &other.socket, length) == 0;
}

std::string
SocketAddress::text() const {
    u_char buffer[NGX_SOCKADDR_STRLEN];
    std::size_t size = ngx_sock_ntop(const_cast<sockaddr*>(&socket.sockaddr),
                                     length, buffer, sizeof(buffer), 1);
    return {reinterpret_cast<char*>(buffer), size};
}

std::vector<SocketAddress>
known_addresses(const Endpoint& endpoint) {
    if (endpoint.path.empty() && endpoint.host.host == "localhost") {
        return {literal("127.0.0.1", endpoint.host.port),
                literal("::1", endpoint.host.port)};
    }
    SocketAddress address;
    address.length = socket_address(endpoint, address.socket);
    if (address.length == 0) {
        return {};
    }
    return {address};
}

void
NameLookup::start(const MainConf& conf, const RedisHost& host) {
    cancel();
    host_ = host;
    ngx_resolver_ctx_t temporary{};
    temporary.name = str(host_.host);
    ngx_resolver_ctx_t* context =
        conf.resolver == nullptr ? nullptr
                                 : ngx_resolve_start(conf.resolver, &temporary);
    if (context == nullptr || context == NGX_NO_RESOLVER) {
        fail(context == nullptr ? "no memory" : "no \"resolver\" in http{}");
        return;
    }
    context->name = str(host_.host);
    context->handler = on_answer;
    context->data = this;
    context->timeout = conf.resolver_timeout;
    context->cancelable = 1;
    context_ = context;
    // It may be answered before this returns, and the context be gone.
    if (ngx_resolve_name(context) != NGX_OK) {
        context_ = nullptr;
        fail("the resolver failed");
    }
}

void
NameLookup::cancel() {
    if (context_ != nullptr) {
        ngx_resolve_name_done(std::exchange(context_, nullptr));
    }
    if (over_->posted) {
        ngx_delete_posted_event(over_);
    }
}

void
NameLookup::on_answer(ngx_resolver_ctx_t* context) noexcept {
    auto* self = static_cast<NameLookup*>(context->data);
    self->context_ = nullptr;
    edge::event(
        "redis names", [=] { self->take_answer(*context); },
        [=]() noexcept { self->addresses_.clear(); });
    ngx_resolve_name_done(context);
    ngx_post_event(self->over_, &ngx_posted_events);
}

void
NameLookup::take_answer(const ngx_resolver_ctx_t& context) {
    if (context.state != NGX_OK) {
        fail(ngx_resolver_strerror(context.state));
        return;
    }
    error_.clear();
    addresses_.clear();
    for (ngx_uint_t i = 0; i < context.naddrs; i++) {
        SocketAddress address;
        ngx_memzero(&address.socket, sizeof(address.socket));
        ngx_memcpy(&address.socket, context.addrs[i].sockaddr,
                   context.addrs[i].socklen);
        ngx_inet_set_port(&address.socket.sockaddr, host_.port);
        address.length = context.addrs[i].socklen;
        addresses_.push_back(address);
    }
    std::sort(addresses_.begin(), addresses_.end(), comes_before);
    const time_t left =
        std::clamp(context.valid - ngx_time(), kShortest, kLongest);
    valid_for_ = static_cast<ngx_msec_t>(left) * 1000;
}

void
NameLookup::fail(std::string_view why) {
    addresses_.clear();
    error_ = '"' + host_.host + "\" could not be resolved (";
    error_ += why;
    error_ += ')';
    valid_for_ = kAfterError * 1000;
    ngx_post_event(over_, &ngx_posted_events);
}

}  // namespace entitle::ngx
