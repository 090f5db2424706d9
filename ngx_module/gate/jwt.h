// What a worker knows about the app's JWTs: tokens it has verified, and keys it
// has fetched.
#pragma once

#include <map>

#include "ngx_module/gate/identity.h"

namespace entitle::ngx {

// The keys behind one URI of one server. Lives as long as the worker.
class FetchedKeys {
  public:
    FetchedKeys();
    ~FetchedKeys();
    FetchedKeys(const FetchedKeys&) = delete;
    FetchedKeys& operator=(const FetchedKeys&) = delete;

    const std::optional<JwtKeys>&
    keys() const {
        return keys_;  // null: never had any
    }
    // Another whenever other keys come, and no two sets' are alike; 0: none.
    std::uint64_t
    generation() const {
        return generation_;
    }
    KeyNeed by_age() const;

    // As jwt_keys_fetch and jwt_keys_leave, which see.
    ngx_int_t fetch(ngx_http_request_t* r, Gate* gate);
    void leave(Gate* gate) noexcept;

  private:
    static void on_late(ngx_event_t* event) noexcept;
    ngx_int_t lead(ngx_http_request_t* r, Gate* gate);
    bool take(ngx_http_request_t* r, const Gate* gate);
    void wake_all(bool with_keys) noexcept;
    void end_flight(bool with_keys) noexcept;

    std::optional<JwtKeys> keys_;
    std::uint64_t generation_ = 0;
    std::string text_;  // keys_ are made of this
    KeyRefresh refresh_;
    Gate* leader_ = nullptr;  // its subrequest asks
    std::vector<Gate*> waiting_;
    ngx_event_t late_{};  // nobody waits longer than this
};

inline constexpr std::size_t kJwtCacheBytes = 4 * 1024 * 1024;

struct JwtWorker {
    JwtCache verified{kJwtCacheBytes};
    std::map<const ServerConf*, std::map<std::string, FetchedKeys, std::less<>>>
        fetched;  // by URI
};

// Of this location's entitle_jwt_key_request; null: it has none.
FetchedKeys* fetched_keys(ngx_http_request_t* r);

}  // namespace entitle::ngx
