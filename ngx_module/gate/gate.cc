// The gate: the last of nginx's access handlers. Asks, in this order, who is
// there, whether that still stands, what the record gives, and answers.
//
// A request waits by returning NGX_AGAIN; what it waits for posts an event
// that runs its phases again (gate_wake), so no foreign handler ever has our
// request finished, and freed, underneath it.

#include <algorithm>
#include <cstddef>
#include <new>

#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/http/client.h"

namespace entitle::ngx {

namespace {

void gate_resume(ngx_event_t* event) noexcept;
void gate_destroy(void* data) noexcept;
void gate_abandon(void* data) noexcept;
void gate_idle(ngx_http_request_t* r) noexcept;
void redis_answered(RedisExchange* exchange, RedisStatus status) noexcept;

// --- waiting ----------------------------------------------------------------

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

// The request ends, for whatever reason, maybe while it waits.
void
gate_abandon(void* data) noexcept {
    Gate* gate = static_cast<Gate*>(data);
    if (gate->lookup == Gate::Lookup::waiting) {
        redis_cancel(&gate->exchange);
        gate->lookup = Gate::Lookup::none;
    }
    wait_leave(gate);
    gate->record.leave();
    reauth_leave(gate);
    jwt_keys_leave(gate);
    gate->email_claim.reset();
    gate->logout.reset();
    if (gate->wake.posted) {
        ngx_delete_posted_event(&gate->wake);
    }
}

void
gate_destroy(void* data) noexcept {
    static_cast<Gate*>(data)->~Gate();
}

void
redis_answered(RedisExchange* exchange, RedisStatus status) noexcept {
    Gate* gate = static_cast<Gate*>(exchange->data);
    gate->lookup = Gate::Lookup::done;
    gate->lookup_status = status;
    gate_wake(gate);
}

// --- the order of the questions ---------------------------------------------

using Stage = Gate::Stage;

Stage
identified(const Gate* gate) {
    return gate->identity.user ? Stage::read_record : Stage::reauthenticate;
}

Stage
after_identify(ngx_http_request_t* r, Gate* gate) {
    switch (identity_kind(location_conf(r))) {
        case IdentitySource::Kind::app_session:
            return Stage::read_app_session;
        case IdentitySource::Kind::trusted_user:
            // Whoever sets the variable has already asked.
            return gate->identity.user ? Stage::read_record : Stage::guest;
        case IdentitySource::Kind::jwt:
            if (gate->key_need != KeyNeed::none && !gate->keys_asked) {
                return Stage::fetch_keys;
            }
            // Newer keys may know the token's: who cannot tell says so.
            if (gate->key_need == KeyNeed::missing && !gate->identity.user &&
                !gate->keys_fresh) {
                gate->trouble = Reason::jwt_keys_unreachable;
                return Stage::trouble;
            }
            break;
        case IdentitySource::Kind::edge_session:
            break;
    }
    return identified(gate);
}

Stage
after_record(const Gate* gate) {
    if (gate->answer || fresh(gate->identity, gate->record.standing, now())) {
        return Stage::known;  // what the app has just said needs no check
    }
    return Stage::reauthenticate;
}

// What the e-mail has just claimed is known: the new cookie covers it, and the
// record is read as it is since.
void
count_claims(Gate* gate) {
    const auto& raised = gate->answer->raised;
    if (!raised) {
        return;
    }
    gate->version_awaited = raised->second;
    if (gate->before && gate->before->user == *gate->answer->user &&
        gate->before->version == raised->first) {
        gate->before->version = raised->second;
    }
}

// The zone, or a replica, may be a moment behind: of what was just claimed, or
// of what a session was made for or the app saw when it signed.
bool
is_behind(ngx_http_request_t* r, Gate* gate) {
    constexpr int kMostRereads = 3;
    const bool replicas = main_conf(r)->redis_read != nullptr;
    if (replicas && !gate->answer && gate->identity.version) {
        gate->version_awaited =
            std::max(gate->version_awaited, *gate->identity.version);
    }
    if (gate->record.standing.version >= gate->version_awaited) {
        return false;
    }
    if (replicas) {
        return !std::exchange(gate->of_primary, true);
    }
    return gate->reread++ < kMostRereads;
}

Stage
after_reauth(Gate* gate) {
    switch (gate->answer->kind) {
        case ReauthAnswer::Kind::user:
            gate->app_cookies = gate->answer->set_cookies;
            gate->identity = {gate->answer->user, Reason::ok, {}, {}, {}};
            count_claims(gate);
            return Stage::read_record;
        case ReauthAnswer::Kind::guest:
            gate->app_cookies = gate->answer->set_cookies;
            return Stage::guest;
        case ReauthAnswer::Kind::failure:
            break;
    }
    gate->trouble = Reason::reauth_failed;
    return Stage::trouble;
}

// A browser asks without credentials whether it may send them (Fetch standard,
// section 4.8): only the app knows.
bool
is_preflight(ngx_http_request_t* r) {
    bool origin = false, method = false;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        origin |= is_named(header, "Origin");
        method |= is_named(header, "Access-Control-Request-Method");
    });
    return r->method == NGX_HTTP_OPTIONS && origin && method;
}

// A subrequest of our own wakes its parent by itself.
ngx_int_t
suspended(ngx_http_request_t* r, const Gate* gate, ngx_int_t rc) {
    return rc == NGX_AGAIN && gate->subrequest == nullptr ? gate_suspend(r)
                                                          : rc;
}

ngx_int_t
gate_run(ngx_http_request_t* r) {
    if (!gated(r)) {
        return NGX_DECLINED;
    }
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    if (r->discard_body != 0 && r->connection->read->ready != 0) {
        // What came while a subrequest had the connection tells nobody again.
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }
    if (location_conf(r)->preflight != 0 && is_preflight(r)) {
        gate->preflight = true;
        return NGX_OK;
    }
    const ngx_int_t rc = polled(r) ? poll_settle(r, gate) : gate_rule(r, gate);
    return rc == NGX_OK ? gate_answer(r, gate) : rc;
}

}  // namespace

Gate::Gate(ngx_http_request_t* main)
    : request(main),
      record([](void* gate) noexcept { gate_wake(static_cast<Gate*>(gate)); },
             this) {
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
    ngx_http_set_ctx(r, gate, ngx_http_entitle_filter_module);
    return gate;
}

void
gate_wake(Gate* gate) noexcept {
    if (!gate->wake.posted) {
        ngx_post_event(&gate->wake, &ngx_posted_events);
    }
}

void
gate_ask(ngx_http_request_t* r, Gate* gate, std::vector<Command> commands) {
    RedisExchange& exchange = gate->exchange;
    exchange.key.clear();  // the commands say which nodes
    exchange.commands = std::move(commands);
    exchange.replies.clear();
    exchange.done = redis_answered;
    exchange.data = gate;
    gate->lookup = Gate::Lookup::waiting;
    if (redis_send(main_conf(r), &exchange) != NGX_OK) {
        gate->lookup = Gate::Lookup::done;
        gate->lookup_status = RedisStatus::unavailable;
    }
}

bool
gate_answered(Gate* gate) {
    if (gate->lookup != Gate::Lookup::done) {
        return false;
    }
    gate->lookup = Gate::Lookup::none;
    return true;
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

ngx_int_t
gate_settle(ngx_http_request_t* r, Gate* gate) {
    // Only a request that does not wait can come from another location.
    if (gate->settings && *gate->settings != identity_settings(r)) {
        gate->stage = Stage::identify;
        gate->answer.reset();
        gate->before.reset();
        gate->keys_asked = false;
        gate->keys_fresh = false;
        gate->version_awaited = 0;
        gate->of_primary = false;
    }
    for (;;) {
        switch (gate->stage) {
            case Stage::identify:
                identify(r, gate);
                gate->stage = after_identify(r, gate);
                break;

            case Stage::fetch_keys: {
                const ngx_int_t rc = jwt_keys_fetch(r, gate);
                if (rc == NGX_OK) {
                    gate->stage = Stage::identify;
                } else if (rc == NGX_DECLINED) {
                    gate->trouble = Reason::jwt_keys_unreachable;
                    gate->stage = Stage::trouble;
                } else {
                    return suspended(r, gate, rc);
                }
                break;
            }

            case Stage::read_app_session:
                switch (app_session_lookup(r, gate)) {
                    case NGX_AGAIN:
                        return gate_suspend(r);
                    case NGX_OK:
                        gate->stage = identified(gate);
                        break;
                    default:
                        gate->stage = Stage::trouble;
                }
                break;

            case Stage::read_record:
                switch (record_lookup(r, gate)) {
                    case NGX_AGAIN:
                        return gate_suspend(r);
                    case NGX_OK:
                        if (is_behind(r, gate)) {
                            break;
                        }
                        gate->stage = after_record(gate);
                        if (gate->stage == Stage::known && gate->answer) {
                            issue_session(r, gate);
                        }
                        break;
                    default:
                        gate->stage = Stage::trouble;
                }
                break;

            case Stage::reauthenticate: {
                if (gate->identity.user && !gate->before) {
                    gate->identity.why = Reason::session_stale;
                    gate->before = {*gate->identity.user,
                                    gate->record.standing.version};
                }
                const ngx_int_t rc =
                    gate->streaming ? NGX_DECLINED : reauthenticate(r, gate);
                if (rc == NGX_DECLINED) {
                    gate->stage = Stage::guest;
                } else if (rc == NGX_OK) {
                    gate->stage = after_reauth(gate);
                } else {
                    return suspended(r, gate, rc);
                }
                break;
            }

            case Stage::known:
            case Stage::guest:
            case Stage::trouble:
                return NGX_OK;
        }
    }
}

ngx_int_t
gate_rule(ngx_http_request_t* r, Gate* gate) {
    for (;;) {
        const ngx_int_t rc = gate_settle(r, gate);
        if (rc != NGX_OK) {
            return rc;
        }
        gate->ruling = gate_ruling(r, gate);
        switch (wait_step(r, gate)) {
            case WaitStep::answer:
                return NGX_OK;
            case WaitStep::look:
                break;
            case WaitStep::hold:
                return gate_suspend(r);
        }
    }
}

bool
gated(ngx_http_request_t* r) {
    return location_conf(r)->gated();
}

ngx_int_t
gate_handler(ngx_http_request_t* r) noexcept {
    try {
        return gate_run(r);
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "entitle: the gate failed: %s", error.what());
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}

}  // namespace entitle::ngx
