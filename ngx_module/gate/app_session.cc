// The app's own server-side session, read from Redis by the id in the
// visitor's cookie. Read and never written.

#include "ngx_module/gate/identity.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// Asking Redis; a part of the gate. Goes, and is forgotten, with the request.
struct SessionRead {
    explicit SessionRead(Gate* of) : gate(of) {
        exchange.data = this;
        exchange.done = [](RedisExchange* done, RedisStatus said) noexcept {
            auto* read = static_cast<SessionRead*>(done->data);
            read->state = State::done;
            read->status = said;
            gate_wake(read->gate);
        };
    }

    void
    begin(ngx_http_request_t* r, std::vector<Command> commands) {
        exchange.commands = std::move(commands);  // they say which nodes
        exchange.replies.clear();
        state = State::waiting;
        if (redis_send(main_conf(r), &exchange) != NGX_OK) {
            state = State::done;
            status = RedisStatus::unavailable;
        }
    }

    Gate* gate;
    RedisExchange exchange;
    enum class State { none, waiting, done } state = State::none;
    RedisStatus status = RedisStatus::unavailable;
};

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
            // No more than will be looked at: who is asked about is whoever
            // comes, and a key under the prefix may be of any size.
            commands.push_back({"GETRANGE", source_here(r).key.key(*id), "0",
                                std::to_string(kMaxAppSession)});
        }
    }
    return commands;
}

void
log_unreadable(ngx_http_request_t* r, std::string_view why) {
    ngx_str_t text = str(why);
    static Seldom seldom;
    seldom.error(r->connection->log,
                 "entitle: the app's session cannot be read: %V", &text);
}

// What one session says. Null: it cannot be read; logged.
std::optional<Identity>
said_by(ngx_http_request_t* r, const Reply& reply) {
    Identity identity;
    if (reply.type == Reply::Type::string && reply.text.empty()) {
        identity.why = Reason::session_expired;
        return identity;
    }
    if (reply.type != Reply::Type::string) {
        log_unreadable(r, reply.is_error() ? reply.text : "no string");
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
take_sessions(ngx_http_request_t* r, const std::vector<Reply>& replies,
              Identity& identity, Reason& trouble) {
    std::optional<Identity> found;
    for (const Reply& reply : replies) {
        std::optional<Identity> said = said_by(r, reply);
        if (!said) {
            trouble = reply.is_error() && !reply.is_error("WRONGTYPE")
                          ? Reason::redis_unreachable
                          : Reason::record_unreadable;
            return NGX_DECLINED;
        }
        if (found && found->user && said->user && found->user != said->user) {
            static Seldom seldom;
            seldom.say(NGX_LOG_WARN, r->connection->log,
                       "entitle: cookies name sessions of several users");
            identity = {{}, Reason::session_invalid, {}, {}, {}};
            return NGX_OK;
        }
        if (!found || said->user) {
            found = std::move(said);
        }
    }
    identity = std::move(*found);
    return NGX_OK;
}

}  // namespace

ngx_int_t
app_session_lookup(ngx_http_request_t* r, Gate* gate, Identity& identity,
                   Reason& trouble) {
    auto& read = gate->part<SessionRead>();
    if (read.state == SessionRead::State::none) {
        std::vector<Command> commands = reads(r);
        if (commands.empty()) {
            identity = {};
            return NGX_OK;
        }
        read.begin(r, std::move(commands));
    }
    if (read.state == SessionRead::State::waiting) {
        return NGX_AGAIN;
    }
    read.state = SessionRead::State::none;
    if (read.status != RedisStatus::ok || read.exchange.replies.empty()) {
        trouble = Reason::redis_unreachable;
        return NGX_DECLINED;
    }
    const ngx_int_t rc =
        take_sessions(r, read.exchange.replies, identity, trouble);
    read.exchange.replies.clear();
    return rc;
}

}  // namespace entitle::ngx
