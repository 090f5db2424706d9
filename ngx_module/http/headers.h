// Header lists: whoever walks one or adds to one does it here.
//
// A request may have no list of headers: nginx makes one only when it begins to
// read header lines, and HTTP/0.9 has none, nor has a line that is no request
// or a URI that is too long, which `error_page` still sends to a location. Such
// a list is all zeros: it can be walked, but not added to.
#pragma once

#include <string_view>

#include "core/base/ascii.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

// Every element that is still there: f(ngx_table_elt_t&).
template <class F>
void
each_header(ngx_list_t& list, F f) {
    for (ngx_list_part_t* part = &list.part; part != nullptr;
         part = part->next) {
        auto* header = static_cast<ngx_table_elt_t*>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (header[i].hash != 0) {
                f(header[i]);
            }
        }
    }
}

// What the client sent, and what the answer has by now.
template <class F>
void
each_request_header(ngx_http_request_t* r, F f) {
    each_header(r->headers_in.headers, f);
}

template <class F>
void
each_answer_header(ngx_http_request_t* r, F f) {
    each_header(r->headers_out.headers, f);
}

inline bool
is_named(const ngx_table_elt_t& header, std::string_view name) {
    return equal_ignoring_case(view(header.key), name);
}

// A name as nginx wants it beside a header, worked out by the compiler.
struct HeaderName {
    std::string_view name;
    std::string_view lower;
    ngx_uint_t hash;

    consteval HeaderName(std::string_view its_name, std::string_view its_lower)
        : name(its_name), lower(its_lower), hash(0) {
        for (std::size_t i = 0; i < its_lower.size(); i++) {
            if (its_lower[i] != ascii_lower(its_name[i])) {
                throw "not the same name";
            }
            hash = ngx_hash(hash, static_cast<unsigned char>(its_lower[i]));
        }
    }
};

// The request's list, made if there is none. Null: no memory.
ngx_list_t* request_headers(ngx_http_request_t* r) noexcept;

// A header at the end of a list that was made. Copies neither name nor value.
// Null: no memory.
ngx_table_elt_t* push_header(ngx_list_t& list,
                             const ngx_table_elt_t& header) noexcept;
ngx_table_elt_t* push_header(ngx_list_t& list, std::string_view name,
                             std::string_view value) noexcept;
ngx_table_elt_t* push_header(ngx_list_t& list, const HeaderName& name,
                             std::string_view value) noexcept;

// Adds a header to the answer. NGX_ERROR: no memory. Copies nothing.
ngx_int_t add_header(ngx_http_request_t* r, std::string_view name,
                     std::string_view value) noexcept;

// Whether it may stand in a Location header.
bool is_location(std::string_view url) noexcept;
// The answer's Location. NGX_ERROR: no memory. Copies nothing.
ngx_int_t set_location(ngx_http_request_t* r, const ngx_str_t& url) noexcept;

// The bytes, in the pool; len 0 and data null: no memory.
ngx_str_t pool_copy(ngx_pool_t* pool, std::string_view text) noexcept;

}  // namespace entitle::ngx
