#include "ngx_module/http/body.h"

namespace entitle::ngx {
namespace {

std::size_t
total_size(const ngx_chain_t* chain, std::size_t limit) {
    std::size_t total = 0;
    for (; chain != nullptr && total <= limit; chain = chain->next) {
        total += static_cast<std::size_t>(ngx_buf_size(chain->buf));
    }
    return total;
}

u_char*
append_file(ngx_buf_t* buf, u_char* to) {
    auto size = static_cast<std::size_t>(buf->file_last - buf->file_pos);
    ssize_t n = ngx_read_file(buf->file, to, size, buf->file_pos);
    if (n != static_cast<ssize_t>(size)) {
        return nullptr;  // nginx logged the error of a failed read
    }
    return to + size;
}

}  // namespace

ngx_int_t
collect_body(ngx_http_request_t* r, std::size_t limit,
             std::string_view* body) noexcept {
    *body = {};
    if (r->request_body == nullptr || r->request_body->bufs == nullptr) {
        return NGX_OK;
    }
    ngx_chain_t* chain = r->request_body->bufs;
    std::size_t total = total_size(chain, limit);
    if (total > limit) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    if (chain->next == nullptr && ngx_buf_in_memory(chain->buf)) {
        *body = {reinterpret_cast<char*>(chain->buf->pos), total};
        return NGX_OK;
    }

    auto* start = static_cast<u_char*>(ngx_pnalloc(r->pool, total + 1));
    if (start == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = start;
    for (; chain != nullptr; chain = chain->next) {
        ngx_buf_t* buf = chain->buf;
        if (ngx_buf_in_memory(buf)) {
            end = ngx_cpymem(end, buf->pos, buf->last - buf->pos);
        } else if (buf->in_file) {
            end = append_file(buf, end);
        }
        if (end == nullptr) {
            ngx_log_error(
                NGX_LOG_ERR, r->connection->log, 0,
                "entitle: cannot read the request body back from \"%V\"",
                &buf->file->name);
            return NGX_ERROR;
        }
    }
    *body = {reinterpret_cast<char*>(start),
             static_cast<std::size_t>(end - start)};
    return NGX_OK;
}

}  // namespace entitle::ngx
