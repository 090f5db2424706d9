// The app's own server-side session, read from Redis by the id in the
// visitor's cookie. Read and never written.

#include "ngx_module/gate/identity.h"

namespace entitle::ngx {

namespace {

// A browser sends several cookies of one name when they were set for other
// paths or domains; more than these is nobody's browser.
constexpr std::size_t kMaxIds = 4;

const AppSessionSource&
source_here(ngx_http_request_t* r) {
    return *location_conf(r)->identity->app_session;
}

std::vector<Command>
reads(ngx_http_request_t* r) {
    std::vector<Command> commands;
    for (std::string_view value :
         carried(r, location_conf(r)->identity->carrier)) {
        const std::optional<std::string> id = session_id(value);
        if (id && commands.size() < kMaxIds) {
            commands.push_back({"GET", source_here(r).key.key(*id)});
        }
    }
    return commands;
}

void
log_unreadable(ngx_http_request_t* r, std::string_view why) {
    ngx_str_t text = str(why);
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "entitle: the app's session cannot be read: %V", &text);
}

// What one session says. Null: it cannot be read; logged.
std::optional<Identity>
said_by(ngx_http_request_t* r, const Reply& reply) {
    Identity identity;
    if (reply.is_nil()) {
        identity.why = Reason::session_expired;
        return identity;
    }
    if (reply.is_error()) {
        log_unreadable(r, reply.text);
        return std::nullopt;
    }
    AppSessionVerdict verdict =
        read_app_session(source_here(r).rules, reply.text);
    if (verdict.error != AppSessionError::none) {
        log_unreadable(r, name(verdict.error));
        return std::nullopt;
    }
    if (verdict.user) {
        identity = {std::move(verdict.user), Reason::ok, verdict.version,
                    std::nullopt, std::nullopt};
    }
    return identity;
}

// Which of several sessions the app takes is its own affair: as long as they
// name one user it does not matter, and if they do not, nobody is named.
ngx_int_t
take_sessions(ngx_http_request_t* r, Gate* gate) {
    std::optional<Identity> found;
    for (const Reply& reply : gate->exchange.replies) {
        std::optional<Identity> said = said_by(r, reply);
        if (!said) {
            gate->trouble = reply.is_error() && !reply.is_error("WRONGTYPE")
                                ? Reason::redis_unreachable
                                : Reason::record_unreadable;
            return NGX_DECLINED;
        }
        if (found && found->user && said->user && found->user != said->user) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "entitle: cookies name sessions of several users");
            gate->identity = {{}, Reason::session_invalid, {}, {}, {}};
            return NGX_OK;
        }
        if (!found || said->user) {
            found = std::move(said);
        }
    }
    gate->identity = std::move(*found);
    return NGX_OK;
}

}  // namespace

ngx_int_t
app_session_lookup(ngx_http_request_t* r, Gate* gate) {
    if (gate->lookup == Gate::Lookup::none) {
        std::vector<Command> commands = reads(r);
        if (commands.empty()) {
            gate->identity = {};
            return NGX_OK;
        }
        gate_ask(r, gate, std::move(commands));
    }
    if (!gate_answered(gate)) {
        return NGX_AGAIN;
    }
    if (gate->lookup_status != RedisStatus::ok ||
        gate->exchange.replies.empty()) {
        gate->trouble = Reason::redis_unreachable;
        return NGX_DECLINED;
    }
    const ngx_int_t rc = take_sessions(r, gate);
    gate->exchange.replies.clear();
    return rc;
}

}  // namespace entitle::ngx
