#include "ngx_module/http/send.h"

namespace entitle::ngx {

ngx_int_t
send_json(ngx_http_request_t* r, ngx_uint_t status,
          std::string_view content_type, std::string_view body) noexcept {
    ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    std::size_t size = sizeof(ngx_buf_t) + content_type.size() + body.size();
    auto* memory = static_cast<u_char*>(ngx_palloc(r->pool, size));
    if (memory == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    auto* buf = reinterpret_cast<ngx_buf_t*>(memory);
    u_char* type = memory + sizeof(ngx_buf_t);
    u_char* text = ngx_cpymem(type, content_type.data(), content_type.size());
    u_char* end = ngx_cpymem(text, body.data(), body.size());

    // An error page under way would otherwise put its own status over ours.
    r->err_status = 0;
    r->headers_out.status = status;
    r->headers_out.status_line.len = 0;
    r->headers_out.content_type = {content_type.size(), type};
    r->headers_out.content_type_len = content_type.size();
    r->headers_out.content_type_lowcase = nullptr;
    r->headers_out.content_length_n = static_cast<off_t>(body.size());
    ngx_http_clear_location(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    ngx_memzero(buf, sizeof(ngx_buf_t));
    buf->pos = text;
    buf->last = end;
    buf->memory = text != end;
    buf->sync = text == end;
    buf->last_buf = r == r->main;
    buf->last_in_chain = 1;
    ngx_chain_t out{buf, nullptr};
    return ngx_http_output_filter(r, &out);
}

}  // namespace entitle::ngx
