#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

constexpr ngx_uint_t kHeaders = 20;  // as nginx makes its own lists

}  // namespace

ngx_list_t*
request_headers(ngx_http_request_t* r) noexcept {
    ngx_list_t& list = r->headers_in.headers;
    if (list.last == nullptr &&
        ngx_list_init(&list, r->pool, kHeaders, sizeof(ngx_table_elt_t)) !=
            NGX_OK) {
        return nullptr;
    }
    return &list;
}

ngx_table_elt_t*
push_header(ngx_list_t& list, const ngx_table_elt_t& header) noexcept {
    auto* pushed = static_cast<ngx_table_elt_t*>(ngx_list_push(&list));
    if (pushed != nullptr) {
        *pushed = header;
    }
    return pushed;
}

// proxy_pass and its like look a request's header up by hash and lower case.
ngx_table_elt_t*
push_header(ngx_list_t& list, std::string_view name,
            std::string_view value) noexcept {
    auto* lower = static_cast<u_char*>(ngx_pnalloc(list.pool, name.size()));
    if (lower == nullptr) {
        return nullptr;
    }
    ngx_table_elt_t header{};
    header.key = str(name);
    header.value = str(value);
    header.lowcase_key = lower;
    header.hash = ngx_hash_strlow(lower, header.key.data, name.size());
    return push_header(list, header);
}

ngx_table_elt_t*
push_header(ngx_list_t& list, const HeaderName& name,
            std::string_view value) noexcept {
    auto* pushed = static_cast<ngx_table_elt_t*>(ngx_list_push(&list));
    if (pushed != nullptr) {
        *pushed = {};
        pushed->hash = name.hash;
        pushed->key = str(name.name);
        pushed->value = str(value);
        pushed->lowcase_key = str(name.lower).data;
    }
    return pushed;
}

ngx_int_t
add_header(ngx_http_request_t* r, std::string_view name,
           std::string_view value) noexcept {
    return push_header(r->headers_out.headers, name, value) == nullptr
               ? NGX_ERROR
               : NGX_OK;
}

bool
is_location(std::string_view url) noexcept {
    return !url.empty() && !has_control_bytes(url);
}

ngx_int_t
set_location(ngx_http_request_t* r, const ngx_str_t& url) noexcept {
    ngx_http_clear_location(r);
    r->headers_out.location =
        push_header(r->headers_out.headers, "Location", view(url));
    return r->headers_out.location == nullptr ? NGX_ERROR : NGX_OK;
}

ngx_str_t
pool_copy(ngx_pool_t* pool, std::string_view text) noexcept {
    // One byte more, so that an empty text is not taken for no memory.
    auto* data = static_cast<u_char*>(ngx_pnalloc(pool, text.size() + 1));
    if (data == nullptr) {
        return ngx_null_string;
    }
    ngx_memcpy(data, text.data(), text.size());
    return {text.size(), data};
}

}  // namespace entitle::ngx
