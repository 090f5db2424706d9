// X-Entitle-User, -Version, -Entitlements and -Credits of the request: what a
// client sends under such a name is removed before anything else looks at it,
// and what we know is set once the gate has decided.

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

// Backends fold `-` and `_` (CGI), some also `.` and others (PHP): any spelling
// that one of them could take for ours is ours.
bool
is_ours(const ngx_table_elt_t& header) {
    constexpr std::string_view prefix = "x-entitle-";
    const std::string_view name = view(header.key);
    if (name.size() < prefix.size()) {
        return false;
    }
    return std::equal(
        prefix.begin(), prefix.end(), name.begin(), [](char wanted, char c) {
            const char lower = ascii_lower(c);
            return wanted == '-' ? !(lower >= 'a' && lower <= 'z') &&
                                       !(lower >= '0' && lower <= '9')
                                 : lower == wanted;
        });
}

// The run of headers to keep that begins at or after `first`: [begin, end).
struct Run {
    ngx_uint_t begin;
    ngx_uint_t end;
};

Run
next_run(const ngx_list_part_t& part, ngx_uint_t first) {
    const auto* header = static_cast<const ngx_table_elt_t*>(part.elts);
    Run run{first, first};
    while (run.begin < part.nelts && is_ours(header[run.begin])) {
        run.begin++;
    }
    run.end = run.begin;
    while (run.end < part.nelts && !is_ours(header[run.end])) {
        run.end++;
    }
    return run;
}

bool
has_ours(const ngx_list_t& list) {
    for (const ngx_list_part_t* part = &list.part; part != nullptr;
         part = part->next) {
        if (next_run(*part, 0).end != part->nelts ||
            (part->nelts != 0 &&
             is_ours(*static_cast<ngx_table_elt_t*>(part->elts)))) {
            return true;
        }
    }
    return false;
}

// proxy_pass sends every element of the list, whatever its hash, so elements
// have to leave the list. None may move: r->headers_in points at them. So each
// part is cut into the runs that stay, and no part is left empty, because
// nginx's loops step into the next part without looking at its length.
ngx_int_t
remove_ours(ngx_http_request_t* r) {
    ngx_list_t& list = r->headers_in.headers;
    if (!has_ours(list)) {
        return NGX_OK;
    }

    ngx_list_part_t* kept = nullptr;  // the last part of the new chain
    ngx_list_part_t part = list.part;
    for (ngx_list_part_t* next = &part; next != nullptr; next = part.next) {
        part = *next;
        for (Run run = next_run(part, 0); run.begin != run.end;
             run = next_run(part, run.end)) {
            ngx_list_part_t* to = &list.part;
            if (kept != nullptr) {
                to = static_cast<ngx_list_part_t*>(
                    ngx_palloc(r->pool, sizeof(ngx_list_part_t)));
                if (to == nullptr) {
                    return NGX_ERROR;
                }
                kept->next = to;
            }
            to->elts = static_cast<ngx_table_elt_t*>(part.elts) + run.begin;
            to->nelts = run.end - run.begin;
            to->next = nullptr;
            kept = to;
        }
    }

    if (kept == nullptr) {
        return ngx_list_init(&list, r->pool, 20, sizeof(ngx_table_elt_t));
    }
    list.last = kept;
    list.nalloc = kept->nelts;  // full: the next push opens a part of its own
    return NGX_OK;
}

constexpr HeaderName kUser("X-Entitle-User", "x-entitle-user");
constexpr HeaderName kVersion("X-Entitle-Version", "x-entitle-version");
constexpr HeaderName kEntitlements("X-Entitle-Entitlements",
                                   "x-entitle-entitlements");

constexpr HeaderName kCredits("X-Entitle-Credits", "x-entitle-credits");

ngx_int_t
push(ngx_http_request_t* r, const HeaderName& name, std::string_view value) {
    ngx_list_t* list = request_headers(r);
    const ngx_str_t copy = pool_copy(r->pool, value);
    return list != nullptr && copy.data != nullptr &&
                   push_header(*list, name, view(copy)) != nullptr
               ? NGX_OK
               : NGX_ERROR;
}

}  // namespace

ngx_int_t
set_request_headers(ngx_http_request_t* r, const Gate* gate) {
    if (remove_ours(r) != NGX_OK) {
        return NGX_ERROR;
    }
    const Known known = known_of(gate);
    if (known.user == nullptr) {
        return NGX_OK;
    }
    if (push(r, kUser, known.user->str()) != NGX_OK) {
        return NGX_ERROR;
    }
    if (!known.version) {
        return NGX_OK;
    }
    const auto& response = *gate->find<Response>();
    if (const Passage* passage = response.passage.get()) {
        return push(r, kVersion, passage->version_text) == NGX_OK
                   ? push(r, kEntitlements, passage->entitlements)
                   : NGX_ERROR;
    }
    return push(r, kVersion, std::to_string(*known.version)) == NGX_OK
               ? push(r, kEntitlements, entitlements_text(response.found))
               : NGX_ERROR;
}

ngx_int_t
set_credits_header(ngx_http_request_t* r, std::int64_t left) {
    return push(r, kCredits, std::to_string(left));
}

// Post read phase of every request: before realip, rewrite and all else.
ngx_int_t
strip_handler(ngx_http_request_t* r) noexcept {
    return remove_ours(r) == NGX_OK ? NGX_DECLINED : NGX_ERROR;
}

// Rewrite phases: a request that nginx itself refuses (its header is broken)
// has no post read phase, and still `error_page` may lead it to the app.
ngx_int_t
strip_refused_handler(ngx_http_request_t* r) noexcept {
    if (r != r->main || !r->internal) {
        return NGX_DECLINED;
    }
    return response_decided(gate_of(r)) != nullptr ? NGX_DECLINED
                                                   : strip_handler(r);
}

}  // namespace entitle::ngx
