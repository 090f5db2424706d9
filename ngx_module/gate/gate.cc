// How a request waits: by returning NGX_AGAIN; what it waits for posts an event
// that runs its phases again (gate_wake), so no foreign handler ever has our
// request finished, and freed, underneath it.

#include "ngx_module/gate/gate.h"

#include <new>

#include "ngx_module/http/client.h"

namespace entitle::ngx {

namespace {

void
gate_idle(ngx_http_request_t* r) noexcept {
    if (ngx_handle_write_event(r->connection->write, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}

void
gate_resume(ngx_event_t* event) noexcept {
    ngx_http_request_t* r = static_cast<Gate*>(event->data)->request;
    ngx_connection_t* c = r->connection;
    if (compat::terminated(r)) {
        return;
    }
    ngx_http_set_log_request(c->log, r);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    } else {
        if (r->discard_body == 0) {
            r->read_event_handler = ngx_http_block_reading;
        }
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);
    }
    ngx_http_run_posted_requests(c);  // r may be gone
}

// The request ends, for whatever reason, maybe while it waits. nginx may come
// to the cleanups that are left of a request that it has freed already.
void
gate_abandon(void* data) noexcept {
    Gate* gate = static_cast<Gate*>(data);
    gate->parts.leave();
    if (gate->wake.posted) {
        ngx_delete_posted_event(&gate->wake);
    }
}

void
gate_destroy(void* data) noexcept {
    Gate* gate = static_cast<Gate*>(data);
    gate->end->handler = nullptr;
    gate->~Gate();
}

}  // namespace

Gate::Gate(ngx_http_request_t* main) : request(main), parts(main->pool) {
    wake.data = this;
    wake.handler = gate_resume;
    wake.log = ngx_cycle->log;
}

Gate*
gate_of(ngx_http_request_t* r) {
    r = r->main;
    void* context = ngx_http_get_module_ctx(r, ngx_http_entitle_filter_module);
    if (context != nullptr || (!r->internal && !r->filter_finalize)) {
        return static_cast<Gate*>(context);
    }
    // An internal redirect wiped the contexts; the pool still knows.
    for (ngx_pool_cleanup_t* cleanup = r->pool->cleanup; cleanup != nullptr;
         cleanup = cleanup->next) {
        if (cleanup->handler == gate_destroy) {
            ngx_http_set_ctx(r, cleanup->data, ngx_http_entitle_filter_module);
            return static_cast<Gate*>(cleanup->data);
        }
    }
    return nullptr;
}

Gate*
gate_make(ngx_http_request_t* r) {
    if (Gate* gate = gate_of(r)) {
        return gate;
    }
    r = r->main;
    static_assert(alignof(Gate) <= NGX_ALIGNMENT);
    ngx_http_cleanup_t* end = ngx_http_cleanup_add(r, 0);
    ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Gate));
    if (end == nullptr || cleanup == nullptr) {
        return nullptr;
    }
    Gate* gate = new (cleanup->data) Gate(r);
    cleanup->handler = gate_destroy;
    end->handler = gate_abandon;
    end->data = gate;
    gate->end = end;
    ngx_http_set_ctx(r, gate, ngx_http_entitle_filter_module);
    return gate;
}

void
gate_wake(Gate* gate) noexcept {
    if (!gate->wake.posted) {
        ngx_post_event(&gate->wake, &ngx_posted_events);
    }
}

// As auth_delay and limit_req do: a client that goes away while it waits is
// noticed, and the cleanup runs at once.
ngx_int_t
gate_suspend(ngx_http_request_t* r) {
    ngx_event_t* read = r->connection->read;
    if (read->ready) {
        ngx_post_event(read, &ngx_posted_events);
    } else if (ngx_handle_read_event(read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    r->read_event_handler = while_waiting(r);
    r->write_event_handler = gate_idle;
    return NGX_AGAIN;
}

}  // namespace entitle::ngx
