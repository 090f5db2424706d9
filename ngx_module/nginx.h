// nginx's headers come through here only, in the order they need, and the two
// conversions everybody uses.
#pragma once

extern "C" {
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>
}

#include <new>
#include <string_view>
#include <utility>

#include "ngx_module/compat.h"

namespace entitle::ngx {

// ngx_str_t and std::string_view.
inline std::string_view
view(const ngx_str_t& text) {
    return {reinterpret_cast<const char*>(text.data), text.len};
}

inline ngx_str_t
str(std::string_view text) {
    return {text.size(),
            reinterpret_cast<u_char*>(const_cast<char*>(text.data()))};
}

// A C++ object that lives and dies with a pool (configuration or request).
// Null when there is no memory. T's constructor may throw.
template <class T, class... Args>
T*
pool_new(ngx_pool_t* pool, Args&&... args) {
    ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(pool, sizeof(T));
    if (cleanup == nullptr) {
        return nullptr;
    }
    static_assert(alignof(T) <= NGX_ALIGNMENT);
    T* object = new (cleanup->data) T(std::forward<Args>(args)...);
    cleanup->handler = [](void* data) { static_cast<T*>(data)->~T(); };
    return object;
}

}  // namespace entitle::ngx
