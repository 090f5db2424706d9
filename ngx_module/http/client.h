// What becomes of what the client goes on to send.
#pragma once

#include "ngx_module/nginx.h"

namespace entitle::ngx {

// Whoever waits for something else than the client sets r->read_event_handler
// to this: only the client's going away counts. A body that nginx is throwing
// away meanwhile (the request came here by the error_page of a 413) goes on
// being thrown away: nobody else would give up nginx's count on the request.
inline ngx_http_event_handler_pt
while_waiting(const ngx_http_request_t* r) noexcept {
    return r->discard_body != 0 ? ngx_http_discarded_request_body_handler
                                : ngx_http_test_reading;
}

// A body that nginx is throwing away is thrown away no further: the request
// goes on without one, and its connection ends with it. Where nginx gives up on
// the reader while an upstream is at work, it frees the request in the middle
// of its cleanups. NGX_ERROR: no memory.
ngx_int_t let_go_of_body(ngx_http_request_t* r) noexcept;

// The client's certificate was refused, and only an error_page (of nginx's 495)
// brings the request here: what says its name is the client's own word.
// `demanded`: the server refuses what it cannot verify.
bool certificate_refused(ngx_http_request_t* r, bool demanded) noexcept;

}  // namespace entitle::ngx
