// What a worker knows about the app's JWTs: tokens it has verified, and keys it
// has fetched.
#pragma once

#include <map>

#include "ngx_module/gate/identity.h"
#include "ngx_module/http/own_request.h"

namespace entitle::ngx {

// The keys behind one URI of one server. Lives as long as the worker.
class FetchedKeys {
  public:
    FetchedKeys(const ngx_http_core_srv_conf_t& server, const ngx_str_t& uri);
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
    ngx_int_t fetch(Gate* gate);
    void leave(Gate* gate) noexcept;

  private:
    static void on_late(ngx_event_t* event) noexcept;
    static void on_fetched(void* data) noexcept;
    void begin() noexcept;
    bool take();
    void wake_all(bool with_keys) noexcept;
    void say_failed(const char* wrong) const;
    void say_unused(const std::vector<std::string>& lines) const;

    const ngx_http_core_srv_conf_t& server_;
    const ngx_str_t& uri_;
    std::optional<JwtKeys> keys_;
    std::uint64_t generation_ = 0;
    std::string text_;  // keys_ are made of this
    KeyRefresh refresh_;
    std::vector<Gate*> waiting_;
    ngx_event_t late_{};  // nobody waits longer than this
    OwnRequest request_;
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
