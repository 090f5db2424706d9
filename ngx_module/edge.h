// Where nginx calls C++: nothing thrown goes back into C. One form for each
// kind of caller:
//
//   edge::event(what, f, otherwise)    timers, sockets, replies: no result
//   edge::answer(what, f)              NGX_ERROR if it throws
//   edge::request(r, what, f)          a phase or content handler: 500 if it
//                                      throws (NGX_ERROR once the headers are
//                                      out), and the request's log says why
//   edge::setter<set>                  a directive: as ngx_command_t wants it
//   edge::configure(cf, f)             a hook that makes or merges
//   configuration edge::guard(f, failed)             the bare one, for what is
//   none of these
//
// `what` stands in the log before the reason
// ("entitle: redis sentinels: bad_alloc").
// `otherwise` and `failed` put right what `f` left half done; no exception may
// leave them, and the compiler sees to it.
#pragma once

#include <exception>
#include <type_traits>

#include "ngx_module/nginx.h"

namespace entitle::ngx::edge {

// What f() returns, or else failed(error).
template <class F, class Failed>
std::invoke_result_t<F>
guard(F f, Failed failed) noexcept {
    static_assert(std::is_nothrow_invocable_v<Failed, const std::exception&>,
                  "say noexcept: nobody is left who could catch it");
    try {
        return f();
    } catch (const std::exception& error) {
        return failed(error);
    }
}

inline void
say(ngx_log_t* log, const char* what, const std::exception& error) noexcept {
    ngx_log_error(NGX_LOG_CRIT, log, 0, "entitle: %s: %s", what, error.what());
}

template <class F, class Otherwise>
void
event(const char* what, F f, Otherwise otherwise) noexcept {
    static_assert(std::is_nothrow_invocable_v<Otherwise>,
                  "say noexcept: nobody is left who could catch it");
    guard(f, [&](const std::exception& error) noexcept {
        say(ngx_cycle->log, what, error);
        otherwise();
    });
}

template <class F>
void
event(const char* what, F f) noexcept {
    event(what, f, []() noexcept {});
}

template <class F>
ngx_int_t
answer(const char* what, F f) noexcept {
    return guard(f, [=](const std::exception& error) noexcept -> ngx_int_t {
        say(ngx_cycle->log, what, error);
        return NGX_ERROR;
    });
}

template <class F>
ngx_int_t
request(ngx_http_request_t* r, const char* what, F f) noexcept {
    return guard(f, [=](const std::exception& error) noexcept -> ngx_int_t {
        say(r->connection->log, what, error);
        return r->header_sent != 0 ? NGX_ERROR : NGX_HTTP_INTERNAL_SERVER_ERROR;
    });
}

template <char* (*set)(ngx_conf_t*, ngx_command_t*, void*)>
char*
setter(ngx_conf_t* cf, ngx_command_t* command, void* conf) noexcept {
    return guard([=] { return set(cf, command, conf); },
                 [=](const std::exception& error) noexcept {
                     ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\": %s",
                                        &command->name, error.what());
                     return static_cast<char*>(NGX_CONF_ERROR);
                 });
}

template <class F>
char*
configure(ngx_conf_t* cf, F f) noexcept {
    return guard(f, [=](const std::exception& error) noexcept {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "entitle: configuration: %s",
                      error.what());
        return static_cast<char*>(NGX_CONF_ERROR);
    });
}

}  // namespace entitle::ngx::edge
