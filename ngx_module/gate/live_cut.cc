// A request that is under way is ended as a client's time-out would end it:
// every cleanup runs, the upstream is closed, what is shared with others
// (another stream of the connection, a cache that others fill) goes on.

#include <sys/ioctl.h>
#include <sys/socket.h>

#if defined(__linux__)
#include <linux/sockios.h>
#endif

#include "ngx_module/counting.h"
#include "ngx_module/gate/live_room.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// What the kernel has not sent yet would still reach a slow reader, for
// minutes.
void
drop_unsent(ngx_connection_t* c) {
#if defined(SIOCOUTQ)
    int unsent = 0;
    if (ioctl(c->fd, SIOCOUTQ, &unsent) != 0 || unsent == 0) {
        return;
    }
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) !=
        0) {
        ngx_log_error(NGX_LOG_INFO, c->log, ngx_socket_errno,
                      "entitle: setsockopt(SO_LINGER) failed");
    }
#else
    (void)c;
#endif
}

void
say(ngx_http_request_t* r, const Gate* gate, Reason why, bool dry) {
    const User* user = known_of(gate).user;
    ngx_str_t who = ngx_string("nobody");
    if (user != nullptr) {
        who = str(user->str());
    }
    const ngx_str_t reason = str(name(why));
    if (!dry) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "entitle: cut for \"%V\": %V", &who, &reason);
        return;
    }
    static Seldom seldom;
    seldom.say(NGX_LOG_WARN, r->connection->log,
               "entitle: dry run, not cut for \"%V\": %V", &who, &reason);
}

// Responded already, or somebody else is ending it. A stream whose client is
// gone is ended by nobody while its upstream is read into buffers.
bool
is_over(ngx_http_request_t* r) {
    return r->done || compat::terminated(r) ||
           (r->connection->error && compat::connection_of_stream(r) == nullptr);
}

}  // namespace

void
live_cut(Live& live) noexcept {
    Gate* gate = live.gate;
    ngx_http_request_t* r = gate->request;
    ngx_connection_t* c = r->connection;
    if (is_over(r)) {
        return;
    }
    ngx_http_set_log_request(c->log, r);
    gate->find<Response>()->cut = live.why;
    const bool dry = live.location->lets_everybody_by();
    say(r, gate, live.why, dry);
    if (dry) {
        return;
    }
    tally(r).cut[static_cast<std::size_t>(live.why)] += 1;

    // A stream's end is queued with its connection, and waits there for whoever
    // writes next. The connection outlives this; its event does not outlive it.
    ngx_connection_t* shared = compat::connection_of_stream(r);
    if (shared != nullptr) {
        ngx_post_event(shared->write, &ngx_posted_events);
    } else if (!compat::is_quic(c)) {
        drop_unsent(c);
    }
    // As "return 444" does: with no regard to error_page and post_action. An
    // upstream that is closed by that lets go of the request, which has to be
    // there still, as where nginx ends what is under way (c->close).
    r->main->count++;
    ngx_http_finalize_request(r, NGX_HTTP_CLOSE);
    if (shared != nullptr) {
        // Not as a time-out: there RST_STREAM says PROTOCOL_ERROR, and there
        // are clients that leave the connection because of that.
        c->timedout = 0;
    }
    ngx_http_run_posted_requests(c);
}

}  // namespace entitle::ngx
