// entitle_poll: answers when the caller is entitled, or the time is up. JSON
// and 204, or a stream of events (HTML, section 9.2) where that is asked for.
//
// The gate has told who is asking in the access phase. Waiting happens here, by
// running the content phase again, because a stream's headers go first.

#include <algorithm>

#include "core/access/granted.h"
#include "core/access/problem.h"
#include "core/http/accept.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/gate/ruling.h"
#include "ngx_module/gate/wait.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"

namespace entitle::ngx {

namespace {

// Proxies and load balancers give up what is silent for a minute.
constexpr ngx_msec_t kPulse = 15 * 1000;

bool
wants_events(ngx_http_request_t* r) {
    bool wants = false;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        wants |= is_named(header, "Accept") &&
                 accepts_event_stream(view(header.value));
    });
    return wants && r->method == NGX_HTTP_GET;
}

bool
is_let_in(const Ruling& ruling) {
    return ruling.decision == Decision::allow ||
           ruling.decision == Decision::allow_stale;
}

std::string
granted_to(const Gate* gate, const Ruling& ruling) {
    return granted_json(ruling, gate->find<Order>()->record().standing.version);
}

// A part of the gate.
struct Stream {
    bool open = false;  // the response has begun
    ngx_buf_t* buf = nullptr;
};

bool
is_open(const Gate* gate) {
    const auto* stream = gate->find<Stream>();
    return stream != nullptr && stream->open;
}

Response&
decide_by(Gate* gate, const Ruling& ruling) {
    auto& response = gate->part<Response>();
    response.decide(ruling);
    return response;
}

// What a content handler returns when the gate said `rc`.
ngx_int_t
not_yet(ngx_http_request_t* r, const Gate* gate, ngx_int_t rc) {
    if (rc != NGX_AGAIN) {
        return is_open(gate) ? NGX_ERROR : rc;
    }
    r->main->count++;
    if (waits_for_question(gate)) {
        r->write_event_handler = ngx_http_core_run_phases;
    }
    return NGX_DONE;
}

// --- one answer --------------------------------------------------------------

ngx_int_t
no_content(ngx_http_request_t* r) {
    const ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->headers_out.content_length_n = 0;  // the status may be an error_page's
    r->header_only = 1;
    return ngx_http_send_header(r);
}

ngx_int_t
answer(ngx_http_request_t* r, Gate* gate, const Ruling& ruling) {
    Response& response = decide_by(gate, ruling);
    if (is_let_in(ruling)) {
        return send_json(r, NGX_HTTP_OK, "application/json",
                         granted_to(gate, ruling));
    }
    if (ruling.decision == Decision::pay) {
        return no_content(r);
    }
    response.refused = true;
    return send_json(r, static_cast<ngx_uint_t>(status_of(ruling.decision)),
                     "application/problem+json", problem_json(ruling));
}

ngx_int_t
poll_once(ngx_http_request_t* r, Gate* gate) {
    Ruling ruling;
    const ngx_int_t rc = wait_for_ruling(r, gate, ruling);
    return rc == NGX_OK ? answer(r, gate, ruling) : not_yet(r, gate, rc);
}

// --- a stream of events ------------------------------------------------------

// Text that outlives the request.
ngx_int_t
stream(ngx_http_request_t* r, Gate* gate, std::string_view text, bool last) {
    ngx_buf_t*& known = gate->part<Stream>().buf;
    ngx_buf_t* buf = known;
    if (last || buf == nullptr) {
        buf = static_cast<ngx_buf_t*>(ngx_palloc(r->pool, sizeof(ngx_buf_t)));
        if (buf == nullptr) {
            return NGX_ERROR;
        }
        known = buf;
    }
    ngx_memzero(buf, sizeof(ngx_buf_t));
    const ngx_str_t bytes = str(text);
    buf->pos = bytes.data;
    buf->last = bytes.data + bytes.len;
    buf->memory = bytes.len != 0;
    buf->flush = 1;
    buf->last_buf = last;
    buf->last_in_chain = 1;
    ngx_chain_t out{buf, nullptr};
    return ngx_http_output_filter(r, &out);
}

void
set_next_pulse(ngx_http_request_t* r, Gate* gate) {
    set_pulse(gate, std::min(kPulse, location_conf(r)->poll / 3 + 1));
}

ngx_int_t
open_stream(ngx_http_request_t* r, Gate* gate, const Ruling& ruling) {
    decide_by(gate, ruling);
    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = nullptr;
    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    if (add_header(r, "X-Accel-Buffering", "no") != NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc == NGX_OK ? NGX_DONE : rc;
    }
    gate->part<Stream>().open = true;
    gate->part<Order>().ask_no_more();
    set_next_pulse(r, gate);
    return stream(r, gate, "retry: 2000\n\n", false) == NGX_ERROR ? NGX_ERROR
                                                                  : NGX_OK;
}

ngx_int_t
close_stream(ngx_http_request_t* r, Gate* gate, const Ruling& ruling) {
    decide_by(gate, ruling);
    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_ERROR;
    }
    if (!is_let_in(ruling)) {
        return stream(r, gate, {}, true);
    }
    const ngx_str_t event = pool_copy(
        r->pool, "event: entitled\ndata: " + granted_to(gate, ruling) + "\n\n");
    return event.data == nullptr ? NGX_ERROR
                                 : stream(r, gate, view(event), true);
}

// Only what was sent makes room for more.
ngx_int_t
pulse(ngx_http_request_t* r, Gate* gate) {
    if (!has_pulse(gate)) {
        return NGX_OK;
    }
    set_next_pulse(r, gate);
    if (r->buffered != 0 || r->connection->buffered != 0) {
        return NGX_OK;
    }
    return stream(r, gate, ":\n\n", false) == NGX_ERROR ? NGX_ERROR : NGX_OK;
}

// A slow client's connection can take more.
void
go_on_writing(ngx_http_request_t* r) noexcept {
    if (ngx_http_output_filter(r, nullptr) == NGX_ERROR ||
        ngx_handle_write_event(r->connection->write, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}

ngx_int_t
poll_stream(ngx_http_request_t* r, Gate* gate) {
    ngx_int_t rc;
    Ruling ruling;
    if (!is_open(gate)) {
        rc = find_ruling(r, gate, ruling);
        if (rc != NGX_OK) {
            return not_yet(r, gate, rc);
        }
        if (!is_let_in(ruling) && ruling.decision != Decision::pay) {
            return answer(r, gate, ruling);
        }
        rc = open_stream(r, gate, ruling);
    } else {
        rc = pulse(r, gate);
    }
    if (rc != NGX_OK) {
        return rc;
    }
    rc = wait_for_ruling(r, gate, ruling);
    if (rc == NGX_OK) {
        return close_stream(r, gate, ruling);
    }
    rc = not_yet(r, gate, rc);
    if (rc == NGX_DONE) {
        r->write_event_handler = go_on_writing;
    }
    return rc;
}

ngx_int_t
poll(ngx_http_request_t* r) {
    if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        return add_header(r, "Allow", "GET, HEAD") == NGX_OK
                   ? NGX_HTTP_NOT_ALLOWED
                   : NGX_ERROR;
    }
    if (r != r->main) {
        return NGX_HTTP_FORBIDDEN;  // what includes it cannot wait
    }
    // A body that was announced is discarded by whoever answers: nginx gives it
    // no longer than lingering_timeout to come, and we wait.
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    return wants_events(r) ? poll_stream(r, gate) : poll_once(r, gate);
}

}  // namespace

ngx_int_t
poll_handler(ngx_http_request_t* r) noexcept {
    return edge::request(r, "the poll failed", [=] { return poll(r); });
}

}  // namespace entitle::ngx
