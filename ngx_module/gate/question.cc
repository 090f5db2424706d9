// The subrequest: GET, without a body and without what belongs to the client's
// own request.

#include "ngx_module/gate/question.h"

#include <algorithm>
#include <new>

#include "ngx_module/gate/alike.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

// sr->headers_in is a copy of the parent's structure that shares its list, so
// the list is made anew.
ngx_int_t
strip_headers(ngx_http_request_t* sr) {
    ngx_http_headers_in_t& in = sr->headers_in;
    ngx_list_t all = in.headers;
    if (ngx_list_init(&in.headers, sr->pool, 20, sizeof(ngx_table_elt_t)) !=
        NGX_OK) {
        return NGX_ERROR;
    }
    // What the client would like to have is said to nobody; some apps, and
    // what guards them, take no request that says nothing of it.
    bool full = push_header(in.headers, "Accept", "*/*") == nullptr;
    each_question_header(all, [&](const ngx_table_elt_t& header) {
        full |= push_header(in.headers, header) == nullptr;
    });

    in.content_length = nullptr;
    in.content_length_n = -1;
    in.chunked = 0;
    in.content_range = nullptr;
    in.content_type = nullptr;
    in.expect = nullptr;
    in.if_match = nullptr;
    in.if_modified_since = nullptr;
    in.if_none_match = nullptr;
    in.if_range = nullptr;
    in.if_unmodified_since = nullptr;
    in.keep_alive = nullptr;
    in.connection = nullptr;
    in.range = nullptr;
    in.referer = nullptr;
    in.te = nullptr;
    in.transfer_encoding = nullptr;
    in.upgrade = nullptr;
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    in.accept_encoding = nullptr;
#endif
#if (NGX_HTTP_HEADERS)
    in.accept = nullptr;
#endif
    return full ? NGX_ERROR : NGX_OK;
}

// One that stays: nginx asks anew for what it may not cache.
void
set_value(ngx_http_variable_value_t& value, const ngx_str_t& text) {
    value.data = text.data;
    value.len = static_cast<unsigned>(text.len) & 0xfffffff;
    value.valid = 1;
    value.not_found = 0;
    value.no_cacheable = 0;
}

// Values of variables are shared with the parent, both ways: `$http_upgrade`
// looked at in the auth location would be empty for ever after, and the
// parent's value would be sent to the app. So the subrequest gets its own,
// with the parent's values but for what speaks of the headers kept back. And
// $request_method and $request_uri, which nginx takes of the client's request
// and `fastcgi_params` hands on, are the question's: the same for all who wait.
ngx_int_t
separate_variables(ngx_http_request_t* sr, const ngx_str_t& uri) {
    const auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_get_module_main_conf(sr, ngx_http_core_module));
    const ngx_uint_t count = core->variables.nelts;
    const auto* variable =
        static_cast<ngx_http_variable_t*>(core->variables.elts);
    const std::size_t size = count * sizeof(ngx_http_variable_value_t);
    auto* values =
        static_cast<ngx_http_variable_value_t*>(ngx_palloc(sr->pool, size));
    if (values == nullptr) {
        return NGX_ERROR;
    }
    ngx_memcpy(values, sr->variables, size);
    for (ngx_uint_t i = 0; i < count; i++) {
        const std::string_view name = view(variable[i].name);
        if (name.starts_with("http_") || name.starts_with("content_") ||
            name.starts_with("upstream_") ||
            name.starts_with("proxy_internal_") || name == "invalid_referer") {
            values[i].valid = 0;
            values[i].not_found = 0;
        } else if (name == "request_method") {
            set_value(values[i], sr->method_name);
        } else if (name == "request_uri") {
            set_value(values[i], uri);
        }
    }
    sr->variables = values;
    return NGX_OK;
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

}  // namespace

// Called twice when the backend cannot be reached (first with status 0), so it
// only remembers. When the subrequest is really over nginx says so in
// sr->done and wakes the parent.
ngx_int_t
Asked::over(ngx_http_request_t* sr, void* data, ngx_int_t rc) noexcept {
    if (sr->connection->error || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        return rc;
    }
    if (rc == NGX_ERROR || rc == NGX_HTTP_CLOSE ||
        rc == NGX_HTTP_REQUEST_TIME_OUT) {
        // These would end the client's request without an answer.
        static_cast<Asked*>(data)->broken_ = true;
        return NGX_OK;
    }
    return rc;
}

ngx_int_t
Asked::ask(ngx_http_request_t* r, const Question& question) {
    auto* after = static_cast<ngx_http_post_subrequest_t*>(
        ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t)));
    if (after == nullptr) {
        return NGX_ERROR;
    }
    after->handler = over;
    after->data = this;

    ngx_str_t uri = question.uri;
    ngx_str_t args = ngx_null_string;
    ngx_http_split_args(r, &uri, &args);

    broken_ = false;
    body_complete_ = false;
    body_.clear();
    ngx_http_request_t* sr = nullptr;
    if (ngx_http_subrequest(r, &uri, &args, &sr, after,
                            NGX_HTTP_SUBREQUEST_WAITED) != NGX_OK) {
        return NGX_ERROR;
    }
    request_ = sr;

    // As auth_request: an empty body of its own keeps the client's from being
    // read, sent or closed. One that is being thrown away stays the parent's
    // affair: the subrequest, of no length, would read it without end.
    sr->discard_body = 0;
    sr->request_body = static_cast<ngx_http_request_body_t*>(
        ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t)));
    if (sr->request_body == nullptr || strip_headers(sr) != NGX_OK ||
        separate_variables(sr, question.uri) != NGX_OK) {
        return NGX_ERROR;
    }
    // An error_page meant for visitors must not turn the app's 401 into a 200.
    sr->error_page = 1;
    if (question.wants_body) {
        sr->filter_need_in_memory = 1;  // our body filter collects it
    } else {
        sr->header_only = 1;
    }
    return NGX_AGAIN;
}

bool
Asked::has(const ngx_http_request_t* r) const {
    for (; request_ != nullptr && r != r->main; r = r->parent) {
        if (r == request_) {
            return true;
        }
    }
    return false;
}

void
Asked::take_header(ngx_http_request_t* r) {
    if (r == request_ && !r->header_only &&
        r->headers_out.content_length_n > static_cast<off_t>(kMaxAnswerBody)) {
        r->header_only = 1;  // not worth reading: too long to be believed
    }
}

void
Asked::collect(const ngx_buf_t* buffer) {
    if (!ngx_buf_in_memory(buffer) || body_.size() > kMaxAnswerBody) {
        return;
    }
    const auto size = static_cast<std::size_t>(buffer->last - buffer->pos);
    body_.append(reinterpret_cast<const char*>(buffer->pos),
                 std::min(size, kMaxAnswerBody + 1 - body_.size()));
}

// Everything is taken and nothing goes on: what is passed on would be sent to
// the client ahead of the answer.
void
Asked::take_body(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    for (; in != nullptr; in = in->next) {
        ngx_buf_t* buffer = in->buf;
        if (r == request_) {
            try {
                if (!r->header_only) {
                    collect(buffer);
                }
            } catch (const std::bad_alloc&) {
                broken_ = true;
            }
            body_complete_ |= buffer->last_in_chain || buffer->last_buf;
        }
        buffer->pos = buffer->last;
        buffer->file_pos = buffer->file_last;
    }
    if (body_.size() > kMaxAnswerBody) {
        stop_reading(request_);
    }
}

bool
waits_for_question(const Gate* gate) {
    const Asked* asked = gate->find<Asked>();
    return asked != nullptr && asked->is_under_way();
}

}  // namespace entitle::ngx
