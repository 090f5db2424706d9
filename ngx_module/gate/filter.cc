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
#include "ngx_module/gate/identity.h"
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
add_cookies(ngx_http_request_t* r, const Gate* gate) {
    std::vector<std::string_view> wanted;
    for (const std::string& cookie : gate->app_cookies) {
        if (!set_by_answer(r, cookie)) {
            wanted.push_back(cookie);
        }
    }
    if (!gate->session_cookie.empty()) {
        wanted.push_back(gate->session_cookie);
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
    std::vector<std::string_view> lines;
    bool expires = false;
    each_answer_header(r, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Cache-Control")) {
            lines.push_back(view(header.value));
        }
        expires |= is_named(header, "Expires");
    });
    return set_cache_control(r, at_least_private(lines, expires));
}

// --- the header filter ------------------------------------------------------

// RFC 6750 section 3: who showed no token is told of no error.
std::string_view
challenge(ngx_http_request_t* r, const Gate* gate) {
    if (identity_kind(location_conf(r)) != IdentitySource::Kind::jwt) {
        return "Cookie realm=\"entitle\"";
    }
    return gate->ruling.reason == Reason::no_session
               ? "Bearer realm=\"entitle\""
               : "Bearer error=\"invalid_token\"";
}

ngx_int_t
add_refusal_headers(ngx_http_request_t* r, const Gate* gate) {
    const Decision decision = gate->ruling.decision;
    const ngx_uint_t status = r->headers_out.status;
    if (decision == Decision::login && status == NGX_HTTP_UNAUTHORIZED) {
        return add_header(r, "WWW-Authenticate", challenge(r, gate));
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

ngx_int_t
filter_answer(ngx_http_request_t* r, const Gate* gate) {
    const ngx_int_t cookies = add_cookies(r, gate);
    if (cookies == NGX_ERROR) {
        return NGX_ERROR;
    }
    // What the browser kept of the account goes with it.
    if (gate->logged_out &&
        add_header(r, "Clear-Site-Data", "\"cache\"") != NGX_OK) {
        return NGX_ERROR;
    }
    if (gate->refused) {
        if (add_refusal_headers(r, gate) != NGX_OK) {
            return NGX_ERROR;
        }
        return set_cache_control(r, "private, no-store");
    }
    if (cookies == NGX_OK || polled(r)) {
        return set_cache_control(r, "private, no-store");
    }
    return keep_from_others(r);
}

// A backend that does not look at the method would show the page that is paid
// for to a stranger who calls his request a preflight.
void
drop_body(ngx_http_request_t* r) {
    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = 0;
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    r->header_only = 1;
}

void
filter_question(ngx_http_request_t* sr) {
    if (!sr->header_only &&
        sr->headers_out.content_length_n > static_cast<off_t>(kMaxAnswerBody)) {
        sr->header_only = 1;  // not worth reading: too long to be believed
    }
}

ngx_int_t
header_filter(ngx_http_request_t* r) noexcept {
    try {
        Gate* gate = gate_of(r);
        if (r == r->main && location_conf(r)->role == Role::logout &&
            !location_conf(r)->logout_all) {
            gate = gate_make(r);  // also where `return` answered
            if (gate == nullptr) {
                return NGX_ERROR;
            }
            end_session(r, gate);
        }
        if (r != r->main) {
            if (gate != nullptr && r == gate->subrequest) {
                filter_question(r);
            }
            return next_header_filter(r);
        }
        ngx_int_t rc = NGX_OK;
        if (gate != nullptr && gate->preflight) {
            drop_body(r);
        } else if (gate != nullptr && (gate->decided || gate->logged_out)) {
            rc = filter_answer(r, gate);
        } else if (gated(r)) {
            rc = keep_from_others(r);  // other rules let it by, or refused it
        }
        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "entitle: the header filter failed: %s", error.what());
        return NGX_ERROR;
    }
    return next_header_filter(r);
}

// --- the body of our own subrequests ----------------------------------------

void
collect(Gate* gate, const ngx_buf_t* buffer) {
    if (!ngx_buf_in_memory(buffer) || gate->body.size() > kMaxAnswerBody) {
        return;
    }
    const auto size = static_cast<std::size_t>(buffer->last - buffer->pos);
    gate->body.append(reinterpret_cast<const char*>(buffer->pos),
                      std::min(size, kMaxAnswerBody + 1 - gate->body.size()));
}

// An answer that is too long (or never ends) is let go of, by what tells
// nginx's upstream that nobody reads on, or that all was read. Returning an
// error would close the client's connection.
void
stop_reading(ngx_http_request_t* sr) {
    ngx_http_upstream_t* upstream = sr->upstream;
    if (upstream == nullptr) {
        return;
    }
    if (upstream->buffering && upstream->pipe != nullptr) {
        upstream->pipe->downstream_error = 1;
    } else {
        upstream->length = 0;
    }
}

// Everything is taken and nothing goes on: what is passed on would be sent to
// the client ahead of the answer.
void
swallow(ngx_http_request_t* r, Gate* gate, ngx_chain_t* in) {
    for (; in != nullptr; in = in->next) {
        ngx_buf_t* buffer = in->buf;
        if (r == gate->subrequest) {
            if (!r->header_only) {
                collect(gate, buffer);
            }
            gate->body_complete |= buffer->last_in_chain || buffer->last_buf;
        }
        buffer->pos = buffer->last;
        buffer->file_pos = buffer->file_last;
    }
    if (gate->body.size() > kMaxAnswerBody) {
        stop_reading(gate->subrequest);
    }
}

ngx_int_t
body_filter(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    if (r == r->main) {
        return next_body_filter(r, in);
    }
    if (is_own_request(r)) {
        return own_request_body(r, in);
    }
    Gate* gate = gate_of(r);
    if (gate == nullptr || !is_question(gate, r)) {
        return next_body_filter(r, in);
    }
    try {
        swallow(r, gate, in);
        return NGX_OK;
    } catch (const std::bad_alloc&) {
        gate->subrequest_broken = true;
        return NGX_OK;
    }
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
