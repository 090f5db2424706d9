// The cookies of a request.
#pragma once

#include <string_view>
#include <vector>

#include "core/http/cookie.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

// Every value of that name, in order. Views of the request.
inline std::vector<std::string_view>
request_cookies(ngx_http_request_t* r, std::string_view name) {
    std::vector<std::string_view> values;
    compat::each_cookie_line(r, [&](const ngx_str_t& line) {
        cookie_values(view(line), name, values);
    });
    return values;
}

inline std::vector<CookiePair>
request_cookie_pairs(ngx_http_request_t* r) {
    std::vector<CookiePair> pairs;
    compat::each_cookie_line(
        r, [&](const ngx_str_t& line) { cookie_pairs(view(line), pairs); });
    return pairs;
}

}  // namespace entitle::ngx
