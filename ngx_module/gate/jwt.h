// The app's own JWT: what a worker knows of such tokens, those it has verified
// and the keys it has fetched, and what a request wants of that.
#pragma once

#include <map>

#include "core/identity/jwt_cache.h"
#include "core/identity/key_refresh.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/http/own_request.h"

namespace entitle::ngx {

class FetchedKeys;

// A request and the keys of its JWT; a part of its gate.
struct KeySeeker {
    explicit KeySeeker(Gate* of) : gate(of) {}
    ~KeySeeker();
    KeySeeker(const KeySeeker&) = delete;
    KeySeeker& operator=(const KeySeeker&) = delete;

    Gate* gate;
    KeyNeed need = KeyNeed::none;  // of what was found
    std::uint64_t seen = 0;        // it was found with keys of that generation
    bool asked = false;
    bool fresh = false;  // and there are none newer
    FetchedKeys* waits_for = nullptr;
};

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

    // As jwt_keys_fetch, which see.
    ngx_int_t fetch(KeySeeker& seeker);
    void leave(KeySeeker& seeker) noexcept;

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
    std::vector<KeySeeker*> waiting_;
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

// What the request's tokens say.
Identity jwt_identity(ngx_http_request_t* r, Gate* gate);

// What is to be done about what they said.
enum class JwtNext {
    go_on,
    fetch_keys,   // other keys might say something else
    cannot_tell,  // and they cannot be had
};
JwtNext jwt_next(const Gate* gate, const Identity& identity);

// NGX_OK: the keys are as new as they get; `changed` says whether the tokens
// have to be looked at anew. NGX_AGAIN: asked, the gate will be woken.
// NGX_DECLINED: there are none.
ngx_int_t jwt_keys_fetch(ngx_http_request_t* r, Gate* gate, bool& changed);
// The request has come to a location that knows people otherwise.
void jwt_keys_forget(Gate* gate);

}  // namespace entitle::ngx
