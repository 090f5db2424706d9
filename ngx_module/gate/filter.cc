// A module of its own, so that its place among the filters can be right: after
// nginx's headers filter, whose `expires` and `add_header` it must overrule.
//
// On the answer to the client: our Set-Cookie, the app's from
// re-authentication, Cache-Control, and what a refusal's status asks for. On
// the answer of a re-authentication: its body is kept from the client, and
// collected if it is wanted.

#include <algorithm>

#include "core/http/cache_control.h"
#include "core/http/set_cookie.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/browser.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/live.h"
#include "ngx_module/gate/logout.h"
#include "ngx_module/gate/meter.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/own_request.h"

namespace entitle::ngx {

namespace {

ngx_http_output_header_filter_pt next_header_filter;
ngx_http_output_body_filter_pt next_body_filter;

// --- Set-Cookie -------------------------------------------------------------

// A cookie that the answer itself sets is newer than what the app set when it
// was asked who this is.
bool
set_by_answer(ngx_http_request_t* r, std::string_view set_cookie) {
    const auto ours = parse_set_cookie(set_cookie);
    bool found = !ours;
    each_answer_header(r, [&](const ngx_table_elt_t& header) {
        if (found || !is_named(header, "Set-Cookie")) {
            return;
        }
        const auto theirs = parse_set_cookie(view(header.value));
        found = theirs && theirs->name == ours->name;
    });
    return found;
}

// NGX_OK: some were added. NGX_DECLINED: there are none.
ngx_int_t
add_cookies(ngx_http_request_t* r, const Order* order, bool logged_out) {
    std::vector<std::string_view> wanted;
    std::string ours, browser;
    if (order != nullptr) {
        for (const std::string& cookie : order->app_cookies()) {
            if (!set_by_answer(r, cookie)) {
                wanted.push_back(cookie);
            }
        }
        ours = order->session_cookie();
        browser = order->browser_cookie();
    }
    if (logged_out) {
        const ServerConf* conf = server_conf(r);
        ours = conf->session_keys == nullptr ? std::string()
                                             : clear_cookie(*conf->cookie);
        if (forgets_browser(r)) {
            browser = clear_browser_cookie(r);
        }
    }
    for (const std::string* cookie : {&ours, &browser}) {
        if (!cookie->empty()) {
            wanted.push_back(*cookie);
        }
    }
    for (std::string_view cookie : wanted) {
        const ngx_str_t copy = pool_copy(r->pool, cookie);
        if (copy.data == nullptr ||
            add_header(r, "Set-Cookie", view(copy)) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return wanted.empty() ? NGX_DECLINED : NGX_OK;
}

// --- Cache-Control ----------------------------------------------------------

ngx_int_t
set_cache_control(ngx_http_request_t* r, std::string_view value) {
    const ngx_str_t copy = pool_copy(r->pool, value);
    if (copy.data == nullptr) {
        return NGX_ERROR;
    }
    bool set = false;
    each_answer_header(r, [&](ngx_table_elt_t& header) {
        if (is_targeted_cache_control(view(header.key))) {
            header.hash = 0;
        } else if (is_named(header, "Cache-Control")) {
            header.hash = set ? 0 : 1;
            header.value = copy;
            set = true;
        }
    });
    return set ? NGX_OK : add_header(r, "Cache-Control", view(copy));
}

ngx_int_t
keep_private(ngx_http_request_t* r) {
    static constexpr HeaderName kName("Cache-Control", "cache-control");
    std::vector<std::string_view> lines;
    bool expires = false;
    bool targeted = false;
    each_answer_header(r, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Cache-Control")) {
            lines.push_back(view(header.value));
        }
        expires |= is_named(header, "Expires");
        targeted |= is_targeted_cache_control(view(header.key));
    });
    if (lines.empty() && !targeted) {  // as most are
        return push_header(r->headers_out.headers, kName,
                           private_alone(expires)) == nullptr
                   ? NGX_ERROR
                   : NGX_OK;
    }
    return set_cache_control(r, at_least_private(lines, expires));
}

// --- the header filter ------------------------------------------------------

// RFC 6750 section 3: who showed no token is told of no error.
std::string_view
challenge(ngx_http_request_t* r, const Ruling& ruling) {
    if (identity_kind(location_conf(r)) != IdentitySource::Kind::jwt) {
        return "Cookie realm=\"entitle\"";
    }
    return ruling.reason == Reason::no_session
               ? "Bearer realm=\"entitle\""
               : "Bearer error=\"invalid_token\"";
}

ngx_int_t
add_refusal_headers(ngx_http_request_t* r, const Ruling& ruling) {
    const Decision decision = ruling.decision;
    const ngx_uint_t status = r->headers_out.status;
    if (decision == Decision::login && status == NGX_HTTP_UNAUTHORIZED) {
        return add_header(r, "WWW-Authenticate", challenge(r, ruling));
    }
    if (decision == Decision::error && status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        return add_header(r, "Retry-After", "5");
    }
    return NGX_OK;
}

// Of every gated location, whoever let the request by.
ngx_int_t
keep_from_others(ngx_http_request_t* r) {
    return location_conf(r)->cache_control == 0 ? NGX_OK : keep_private(r);
}

// Of whatever the gate, or a logout, has had a part in.
ngx_int_t
filter_answer(ngx_http_request_t* r, const Gate* gate, bool logged_out) {
    const auto* order = gate == nullptr ? nullptr : gate->find<Order>();
    const ngx_int_t cookies = add_cookies(r, order, logged_out);
    if (cookies == NGX_ERROR) {
        return NGX_ERROR;
    }
    // What the browser kept of the account goes with it.
    if (logged_out && add_header(r, "Clear-Site-Data", "\"cache\"") != NGX_OK) {
        return NGX_ERROR;
    }
    const Response* response = response_decided(gate);
    const bool refused = response != nullptr && response->refused;
    if (refused && add_refusal_headers(r, response->ruling()) != NGX_OK) {
        return NGX_ERROR;
    }
    return refused || cookies == NGX_OK || polled(r) || logout_refused(r)
               ? set_cache_control(r, "private, no-store")
               : keep_from_others(r);
}

// What of a response is the answer to a preflight, or nobody's in particular.
bool
answers_preflight(const ngx_table_elt_t& header) {
    constexpr std::string_view kOf = "access-control-";
    constexpr std::string_view kKept[] = {"vary", "allow", "cache-control",
                                          "retry-after",
                                          "strict-transport-security"};
    const std::string_view name = view(header.key);
    return equal_ignoring_case(name.substr(0, kOf.size()), kOf) ||
           std::any_of(std::begin(kKept), std::end(kKept),
                       [&](std::string_view kept) {
                           return equal_ignoring_case(name, kept);
                       });
}

// A backend that does not look at the method would show what is paid for to a
// stranger who calls his request a preflight: the page, or where a download is.
void
trim_to_preflight(ngx_http_request_t* r) {
    auto& out = r->headers_out;
    each_answer_header(r, [](ngx_table_elt_t& header) {
        if (!answers_preflight(header)) {
            header.hash = 0;
        }
    });
    // Those that nginx looks at by themselves.
    out.server = out.date = out.content_encoding = out.location = nullptr;
    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_str_null(&out.content_type);
    out.content_type_len = 0;
    out.content_length_n = 0;
    r->header_only = 1;
    const bool is_answer =
        out.status >= NGX_HTTP_OK && (out.status < NGX_HTTP_SPECIAL_RESPONSE ||
                                      out.status >= NGX_HTTP_BAD_REQUEST);
    if (!is_answer) {
        out.status = NGX_HTTP_FORBIDDEN;
        ngx_str_null(&out.status_line);
    }
}

ngx_int_t
filter_main(ngx_http_request_t* r) {
    Gate* gate = gate_of(r);
    if (meter_filter(r, gate) != NGX_OK) {
        return NGX_ERROR;
    }
    const auto* response = gate == nullptr ? nullptr : gate->find<Response>();
    const bool logged_out = is_logged_out(r);
    if (logged_out) {
        live_log_out(r);
    }
    if (response != nullptr && response->preflight) {
        const ngx_int_t rc = keep_from_others(r);
        trim_to_preflight(r);
        return rc;
    }
    if (logged_out || logout_refused(r) || response_decided(gate) != nullptr) {
        return filter_answer(r, gate, logged_out);
    }
    // Other rules let it by, or refused it.
    return gated(r) ? keep_from_others(r) : NGX_OK;
}

// Null: it is not part of a question.
Asked*
asked_by(ngx_http_request_t* r) {
    const Gate* gate = gate_of(r);
    auto* asked = gate == nullptr ? nullptr : gate->find<Asked>();
    return asked != nullptr && asked->has(r) ? asked : nullptr;
}

ngx_int_t
header_filter(ngx_http_request_t* r) noexcept {
    if (r != r->main) {
        if (Asked* asked = asked_by(r)) {
            asked->take_header(r);
        }
        return next_header_filter(r);
    }
    const ngx_int_t rc = edge::answer("the header filter failed",
                                      [=] { return filter_main(r); });
    return rc == NGX_OK ? next_header_filter(r) : NGX_ERROR;
}

ngx_int_t
body_filter(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    if (r == r->main) {
        return next_body_filter(r, in);
    }
    if (is_own_request(r)) {
        return own_request_body(r, in);
    }
    Asked* asked = asked_by(r);
    if (asked == nullptr) {
        return next_body_filter(r, in);
    }
    asked->take_body(r, in);
    return NGX_OK;
}

ngx_int_t
init(ngx_conf_t* cf) noexcept {
    const auto* conf = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    if (conf->used == 0) {
        return NGX_OK;
    }
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
    return NGX_OK;
}

ngx_http_module_t context = {
    nullptr,  // preconfiguration
    init,     // postconfiguration
    nullptr,  // create main configuration
    nullptr,  // init main configuration
    nullptr,  // create server configuration
    nullptr,  // merge server configuration
    nullptr,  // create location configuration
    nullptr,  // merge location configuration
};

}  // namespace

}  // namespace entitle::ngx

ngx_module_t ngx_http_entitle_filter_module = {
    NGX_MODULE_V1,
    &entitle::ngx::context,  // module context
    nullptr,                 // module directives
    NGX_HTTP_MODULE,         // module type
    nullptr,                 // init master
    nullptr,                 // init module
    nullptr,                 // init process
    nullptr,                 // init thread
    nullptr,                 // exit thread
    nullptr,                 // exit process
    nullptr,                 // exit master
    NGX_MODULE_V1_PADDING,
};
