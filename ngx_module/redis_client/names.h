// The addresses of a host, now. Text that is an address is that address,
// `localhost` is 127.0.0.1, then ::1, and a name is asked of the `resolver` of
// http{}, which caches answers as long as they are valid.
//
// Addresses are sorted, IPv4 first: every connection of every worker tries
// them in the same order, so that all come to the same server.
#pragma once

#include "ngx_module/redis_client/endpoints.h"

namespace entitle::ngx {

struct SocketAddress {
    ngx_sockaddr_t socket;
    socklen_t length;

    bool operator==(const SocketAddress& other) const;
    std::string text() const;
};

// Of a host that needs no resolver, or of a unix socket; empty: it is a name.
std::vector<SocketAddress> known_addresses(const Endpoint& endpoint);

// One lookup at a time.
class NameLookup {
  public:
    // `over` is posted when a lookup ends, in whichever way.
    explicit NameLookup(ngx_event_t* over) : over_(over) {}
    ~NameLookup() {
        cancel();
    }
    NameLookup(const NameLookup&) = delete;
    NameLookup& operator=(const NameLookup&) = delete;

    // Never keeps a worker from quitting: whoever waits has a timer.
    void start(const MainConf& conf, const RedisHost& host);
    void cancel();

    // Of the last lookup; empty: error() says why.
    const std::vector<SocketAddress>&
    addresses() const {
        return addresses_;
    }
    const std::string&
    error() const {
        return error_;
    }
    // How long the answer may be relied on, from when it came.
    ngx_msec_t
    valid_for() const {
        return valid_for_;
    }

  private:
    static void on_answer(ngx_resolver_ctx_t* context) noexcept;
    void take_answer(const ngx_resolver_ctx_t& context);
    void fail(std::string_view why);

    ngx_event_t* over_;
    ngx_resolver_ctx_t* context_ = nullptr;
    RedisHost host_;
    std::vector<SocketAddress> addresses_;
    std::string error_;
    ngx_msec_t valid_for_ = 0;
};

}  // namespace entitle::ngx
