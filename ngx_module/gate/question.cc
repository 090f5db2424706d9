// The subrequest that asks the app: GET, without a body and without what
// belongs to the client's own request.

#include "ngx_module/gate/alike.h"
#include "ngx_module/gate/gate.h"

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
    bool full = false;
    each_header(all, [&](const ngx_table_elt_t& header) {
        if (!goes_along(header)) {
            return;
        }
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
    in.te = nullptr;
    in.transfer_encoding = nullptr;
    in.upgrade = nullptr;
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    in.accept_encoding = nullptr;
#endif
    return full ? NGX_ERROR : NGX_OK;
}

// Values of variables are shared with the parent, both ways: `$http_upgrade`
// looked at in the auth location would be empty for ever after, and the
// parent's value would be sent to the app. So the subrequest gets its own,
// with the parent's values but for what speaks of the headers kept back.
ngx_int_t
separate_variables(ngx_http_request_t* sr) {
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
            name.starts_with("proxy_internal_")) {
            values[i].valid = 0;
            values[i].not_found = 0;
        }
    }
    sr->variables = values;
    return NGX_OK;
}

// Called twice when the backend cannot be reached (first with status 0), so it
// only remembers. When the subrequest is really over nginx says so in
// sr->done and wakes the parent.
ngx_int_t
subrequest_over(ngx_http_request_t* sr, void* data, ngx_int_t rc) noexcept {
    Gate* gate = static_cast<Gate*>(data);
    if (sr->connection->error || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        return rc;
    }
    if (rc == NGX_ERROR || rc == NGX_HTTP_CLOSE ||
        rc == NGX_HTTP_REQUEST_TIME_OUT) {
        // These would end the client's request without an answer.
        gate->subrequest_broken = true;
        return NGX_OK;
    }
    return rc;
}

}  // namespace

ngx_int_t
ask(ngx_http_request_t* r, Gate* gate, const Question& question) {
    auto* over = static_cast<ngx_http_post_subrequest_t*>(
        ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t)));
    if (over == nullptr) {
        return NGX_ERROR;
    }
    over->handler = subrequest_over;
    over->data = gate;

    ngx_str_t uri = question.uri;
    ngx_str_t args = ngx_null_string;
    ngx_http_split_args(r, &uri, &args);

    gate->subrequest_broken = false;
    gate->body_complete = false;
    gate->body.clear();
    ngx_http_request_t* sr = nullptr;
    if (ngx_http_subrequest(r, &uri, &args, &sr, over,
                            NGX_HTTP_SUBREQUEST_WAITED) != NGX_OK) {
        return NGX_ERROR;
    }
    gate->subrequest = sr;

    // As auth_request: an empty body of its own keeps the client's from being
    // read, sent or closed. One that is being thrown away stays the parent's
    // affair: the subrequest, of no length, would read it without end.
    sr->discard_body = 0;
    sr->request_body = static_cast<ngx_http_request_body_t*>(
        ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t)));
    if (sr->request_body == nullptr || strip_headers(sr) != NGX_OK ||
        separate_variables(sr) != NGX_OK) {
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

}  // namespace entitle::ngx
