// A request that a worker makes of its own server: GET of a URI, which the
// location that has it responds to, `internal` ones too. No client is part of
// it: none whose headers could go along, and none who could go away.
//
// nginx knows subrequests only, and a subrequest ends with its request, which
// ends with its client. So there is a request here that does nothing but have
// that one subrequest, on a connection that leads nowhere: nothing is ever
// read from it or written to it, and to variables its address is "unix:".
// Access rules do not apply, as to any subrequest.
#pragma once

#include <string>

#include "core/base/monotonic.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

class OwnRequest {
  public:
    // Who said it: nginx itself (a `return`, a limit, a file), the server that
    // the location passes requests to, or what that one once said.
    enum class By { nginx, server, cache };
    struct Response {
        ngx_uint_t status = 0;  // 0: none
        By by = By::nginx;
        bool late = false;      // `time` ran out
        bool encoded = false;   // the body, as a Content-Encoding says
        bool complete = false;  // the body did not break off
        bool too_long = false;  // more than `most`; `body` is what fit
        std::string body;
    };

    // `done` is called once for each start(), never from inside it, unless
    // stop() or the end of this comes first; it may start() again.
    OwnRequest(std::size_t most, void (*done)(void* data) noexcept,
               void* data) noexcept;
    ~OwnRequest() {
        stop();
    }
    OwnRequest(const OwnRequest&) = delete;
    OwnRequest& operator=(const OwnRequest&) = delete;

    // One more header, but for an empty name.
    struct Header {
        std::string_view name, value;
    };

    // Only one at a time. What is not there after `time` counts as no
    // response. `uri` (with its query), `accept` and `more` are not copied.
    void start(const ngx_http_core_srv_conf_t& server, const ngx_str_t& uri,
               std::string_view accept, Milliseconds time,
               const Header& more = {}) noexcept;
    void stop() noexcept;
    // What the last one brought; until the next start().
    const Response&
    response() const {
        return response_;
    }

    struct FarEnd;  // the connection's other end, as it were

  private:
    friend ngx_int_t own_request_body(ngx_http_request_t* r,
                                      ngx_chain_t* in) noexcept;

    static void on_event(ngx_event_t* event) noexcept;
    static void on_resumed(ngx_http_request_t* r) noexcept;
    static void on_ended(void* data) noexcept;
    static void end(FarEnd& far_end) noexcept;
    static By said_by(const ngx_http_request_t* question) noexcept;
    static void read_head(const FarEnd& far_end) noexcept;
    void begin() noexcept;
    bool ask(FarEnd& far_end) noexcept;
    ngx_int_t collect(ngx_chain_t* in);
    void over() noexcept;

    const std::size_t most_;
    void (*done_)(void* data) noexcept;
    void* data_;
    ngx_event_t event_{};  // posted to begin, then set to the time it has
    const ngx_http_core_srv_conf_t* server_ = nullptr;
    ngx_str_t uri_{};
    std::string_view accept_;
    Header more_;
    Milliseconds time_{};
    FarEnd* far_end_ = nullptr;  // while it is under way
    Response response_;
};

// Whether a response comes from nginx's cache.
bool came_from_cache(const ngx_http_request_t* r) noexcept;

// For the body filter: whether `r` is (part of) such a subrequest, and what
// takes its body.
bool is_own_request(const ngx_http_request_t* r) noexcept;
ngx_int_t own_request_body(ngx_http_request_t* r, ngx_chain_t* in) noexcept;

}  // namespace entitle::ngx
