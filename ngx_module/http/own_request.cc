#include "ngx_module/http/own_request.h"

#include <sys/un.h>

#include <algorithm>
#include <cstddef>

#include "ngx_module/edge.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

// In the connection's pool: nginx has it from each request on the connection.
struct OwnRequest::FarEnd : ngx_http_connection_t {
    OwnRequest* owner;  // null: nobody waits for it any more
    ngx_http_request_t* request;
    ngx_http_request_t* question;  // its subrequest
    ngx_http_addr_conf_t address;  // that it came to, for who looks there
    ngx_http_log_ctx_t log_context;
    ngx_log_t log;
};

namespace {

// Also how such a connection is told from all others.
ngx_chain_t*
send_nowhere(ngx_connection_t*, ngx_chain_t*, off_t) noexcept {
    return NGX_CHAIN_ERROR;
}

OwnRequest::FarEnd*
far_end_of(ngx_http_request_t* r) noexcept {
    return static_cast<OwnRequest::FarEnd*>(r->main->http_connection);
}

u_char*
log_error(ngx_log_t* log, u_char* buffer, std::size_t size) noexcept {
    auto* context = static_cast<ngx_http_log_ctx_t*>(log->data);
    u_char* end = ngx_snprintf(buffer, size, ", a request of the worker's own");
    ngx_http_request_t* r = context->request;
    return r == nullptr
               ? end
               : compat::say_request(log, r, context, end, buffer + size);
}

// As ngx_http_request_handler: nobody is at the other end, but limit_req sets a
// timer here, and worker_shutdown_timeout closes what is open.
void
on_connection(ngx_event_t* event) noexcept {
    auto* c = static_cast<ngx_connection_t*>(event->data);
    auto* r = static_cast<ngx_http_request_t*>(c->data);
    ngx_http_set_log_request(c->log, r);
    if (event->delayed && event->timedout) {
        event->delayed = 0;
        event->timedout = 0;
    }
    if (c->close) {
        ngx_http_finalize_request(r->main, NGX_ERROR);
    } else if (event->write) {
        r->write_event_handler(r);
    } else {
        r->read_event_handler(r);
    }
    ngx_http_run_posted_requests(c);
}

// nginx adds a connection to its events by a socket; this one is of the kind
// that never has anything to say. Null: there is none to be had.
ngx_connection_t*
connect_nowhere(const ngx_http_core_srv_conf_t& server) noexcept {
    static sockaddr nobody{.sa_family = AF_UNIX, .sa_data = {}};
    ngx_log_t* log = ngx_cycle->log;
    ngx_pool_t* pool = ngx_create_pool(server.connection_pool_size, log);
    if (pool == nullptr) {
        return nullptr;
    }
    const ngx_socket_t fd = ngx_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " failed");
        ngx_destroy_pool(pool);
        return nullptr;
    }
    ngx_connection_t* c = ngx_get_connection(fd, log);
    if (c == nullptr) {
        ngx_close_socket(fd);
        ngx_destroy_pool(pool);
        return nullptr;
    }
#if (NGX_STAT_STUB)
    (void)ngx_atomic_fetch_add(ngx_stat_active, 1);  // its end takes it away
#endif
    c->pool = pool;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->sockaddr = c->local_sockaddr = &nobody;
    c->socklen = c->local_socklen = offsetof(sockaddr_un, sun_path);
    c->addr_text = ngx_string("unix:");
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = send_nowhere;
    c->read->handler = c->write->handler = on_connection;
    c->read->log = c->write->log = c->log = log;
    c->write->ready = 1;
    // Such a socket has no options of TCP's, and nginx gives up where one that
    // it sets (`proxy_buffering off`) is refused.
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    return c;
}

// The request that has the subrequest. False: no memory.
bool
make_request(ngx_connection_t* c, OwnRequest::FarEnd* far_end,
             const ngx_http_core_srv_conf_t& server) noexcept {
    far_end->conf_ctx = server.ctx;
    far_end->address.default_server =
        const_cast<ngx_http_core_srv_conf_t*>(&server);
    far_end->addr_conf = &far_end->address;
    far_end->log_context.connection = c;
    far_end->log = *c->log;
    far_end->log.connection = c->number;
    far_end->log.handler = log_error;
    far_end->log.data = &far_end->log_context;
    far_end->log.action = nullptr;
    c->read->log = c->write->log = c->log = &far_end->log;
    c->pool->log = c->log;
    c->log_error = NGX_ERROR_INFO;
    c->data = static_cast<ngx_http_connection_t*>(far_end);
    ngx_http_request_t* r = ngx_http_create_request(c);
    if (r == nullptr) {
        return false;
    }
    c->data = r;
    far_end->request = r;
    r->main_filter_need_in_memory = 1;  // for own_request_body
    r->logged = 1;                      // it is none that anybody made
    r->post_action = 1;                 // and nothing comes after it
    r->uri_changes = 0;
    r->method = NGX_HTTP_GET;
    r->method_name = ngx_http_core_get_method;
    r->http_protocol = ngx_string("HTTP/1.0");
    r->request_body = static_cast<ngx_http_request_body_t*>(
        ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t)));
    const bool has_list = ngx_list_init(&r->headers_in.headers, r->pool, 4,
                                        sizeof(ngx_table_elt_t)) == NGX_OK;
    return has_list && r->request_body != nullptr;
}

}  // namespace

OwnRequest::OwnRequest(std::size_t most, void (*done)(void* data) noexcept,
                       void* data) noexcept
    : most_(most), done_(done), data_(data) {
    event_.handler = on_event;
    event_.data = this;
    event_.log = ngx_cycle->log;
    event_.cancelable = 1;
}

void
OwnRequest::stop() noexcept {
    if (event_.timer_set) {
        ngx_del_timer(&event_);
    }
    if (event_.posted) {
        ngx_delete_posted_event(&event_);
    }
    if (far_end_ != nullptr) {
        far_end_->owner = nullptr;
        end(*std::exchange(far_end_, nullptr));
    }
}

void
OwnRequest::end(FarEnd& far_end) noexcept {
    ngx_connection_t* c = far_end.request->connection;
    ngx_http_finalize_request(far_end.request, NGX_ERROR);
    ngx_http_run_posted_requests(c);
}

// Not from here, where another request may be in the middle of its phases.
void
OwnRequest::start(const ngx_http_core_srv_conf_t& server, const ngx_str_t& uri,
                  std::string_view accept, Milliseconds time,
                  const Header& more) noexcept {
    server_ = &server;
    uri_ = uri;
    accept_ = accept;
    more_ = more;
    time_ = time;
    response_ = {};
    ngx_post_event(&event_, &ngx_posted_events);
}

void
OwnRequest::on_event(ngx_event_t* event) noexcept {
    auto* self = static_cast<OwnRequest*>(event->data);
    if (self->far_end_ == nullptr) {
        self->begin();
    } else {
        self->response_.late = true;
        end(*self->far_end_);  // on_ended
    }
}

void
OwnRequest::begin() noexcept {
    ngx_connection_t* c = connect_nowhere(*server_);
    if (c == nullptr) {
        over();
        return;
    }
    auto* far_end = static_cast<FarEnd*>(ngx_pcalloc(c->pool, sizeof(FarEnd)));
    if (far_end == nullptr || !make_request(c, far_end, *server_) ||
        !ask(*far_end)) {
        if (far_end != nullptr && far_end->request != nullptr) {
            ngx_http_free_request(far_end->request, 0);
        }
        ngx_http_close_connection(c);
        over();
        return;
    }
    far_end->owner = this;
    far_end_ = far_end;
    ngx_add_timer(&event_, static_cast<ngx_msec_t>(time_.count()));
    ngx_http_run_posted_requests(c);
}

// False: no memory.
bool
OwnRequest::ask(FarEnd& far_end) noexcept {
    ngx_http_request_t* r = far_end.request;
    // Some servers turn away who names no User-Agent.
    ngx_table_elt_t* agent =
        push_header(r->headers_in.headers, "User-Agent", "nginx-entitle");
    ngx_http_cleanup_t* end = ngx_http_cleanup_add(r, 0);
    if (agent == nullptr || end == nullptr ||
        push_header(r->headers_in.headers, "Accept", accept_) == nullptr) {
        return false;
    }
    if (!more_.name.empty() && push_header(r->headers_in.headers, more_.name,
                                           more_.value) == nullptr) {
        return false;
    }
    r->headers_in.user_agent = agent;
    r->unparsed_uri = uri_;
    r->write_event_handler = on_resumed;
    end->handler = on_ended;
    end->data = &far_end;

    ngx_str_t path = uri_;
    ngx_str_t args = ngx_null_string;
    ngx_http_split_args(r, &path, &args);
    if (ngx_http_subrequest(r, &path, &args, &far_end.question, nullptr, 0) !=
        NGX_OK) {
        return false;
    }
    // A page for visitors would not be what was asked for.
    far_end.question->error_page = 1;
    return true;
}

// The subrequest woke its parent.
void
OwnRequest::on_resumed(ngx_http_request_t* r) noexcept {
    FarEnd* far_end = far_end_of(r);
    if (far_end->question->done) {
        read_head(*far_end);
        ngx_http_finalize_request(r, NGX_ERROR);  // quietly; on_ended
    }
}

// What nginx answers for a server that did not has the status of nobody's
// response, and what it puts in the place of one is a page of its own.
OwnRequest::By
OwnRequest::said_by(const ngx_http_request_t* question) noexcept {
    if (came_from_cache(question)) {
        return By::cache;
    }
    const ngx_http_upstream_t* upstream = question->upstream;
    return upstream != nullptr &&
                   upstream->headers_in.status_n == question->headers_out.status
               ? By::server
               : By::nginx;
}

void
OwnRequest::read_head(const FarEnd& far_end) noexcept {
    if (far_end.owner != nullptr) {
        const ngx_http_headers_out_t& head = far_end.question->headers_out;
        Response& response = far_end.owner->response_;
        response.status = head.status;
        response.by = said_by(far_end.question);
        response.encoded = head.content_encoding != nullptr &&
                           head.content_encoding->value.len != 0;
    }
}

void
OwnRequest::on_ended(void* data) noexcept {
    auto* far_end = static_cast<FarEnd*>(data);
    if (far_end->owner != nullptr) {
        std::exchange(far_end->owner, nullptr)->over();
    }
}

void
OwnRequest::over() noexcept {
    far_end_ = nullptr;
    if (event_.timer_set) {
        ngx_del_timer(&event_);
    }
    done_(data_);
}

bool
came_from_cache([[maybe_unused]] const ngx_http_request_t* r) noexcept {
#if (NGX_HTTP_CACHE)
    if (r->upstream != nullptr) {
        switch (r->upstream->cache_status) {
            case NGX_HTTP_CACHE_STALE:
            case NGX_HTTP_CACHE_UPDATING:
            case NGX_HTTP_CACHE_REVALIDATED:
            case NGX_HTTP_CACHE_HIT:
                return true;
            default:
                break;
        }
    }
#endif
    return false;
}

// --- the body ----------------------------------------------------------------

bool
is_own_request(const ngx_http_request_t* r) noexcept {
    return r->connection->send_chain == send_nowhere;
}

// NGX_ERROR: no more is wanted.
ngx_int_t
OwnRequest::collect(ngx_chain_t* in) {
    std::string& body = response_.body;
    for (; in != nullptr; in = in->next) {
        ngx_buf_t* buffer = in->buf;
        if (ngx_buf_in_memory(buffer)) {
            const std::string_view text(
                reinterpret_cast<const char*>(buffer->pos),
                static_cast<std::size_t>(buffer->last - buffer->pos));
            response_.too_long |= text.size() > most_ - body.size();
            body.append(text.substr(0, most_ - body.size()));
        }
        response_.complete |= buffer->last_in_chain || buffer->last_buf;
        buffer->pos = buffer->last;
        buffer->file_pos = buffer->file_last;
    }
    return response_.too_long ? NGX_ERROR : NGX_OK;
}

ngx_int_t
own_request_body(ngx_http_request_t* r, ngx_chain_t* in) noexcept {
    const OwnRequest::FarEnd* far_end = far_end_of(r);
    if (far_end->owner == nullptr) {
        return NGX_ERROR;
    }
    if (r != far_end->question) {  // a part of it, which is not wanted
        for (; in != nullptr; in = in->next) {
            in->buf->pos = in->buf->last;
            in->buf->file_pos = in->buf->file_last;
        }
        return NGX_OK;
    }
    OwnRequest::read_head(*far_end);
    return edge::answer("a request of its own",
                        [=] { return far_end->owner->collect(in); });
}

}  // namespace entitle::ngx
