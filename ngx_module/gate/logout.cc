// entitle_logout: our cookie is cleared on whatever answer the location gives;
// with `all`, every device has to say again who it is.

#include "core/delivery/logout.h"

#include "core/http/cross_site.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/redis_client/talk.h"

namespace entitle::ngx {

// The core's conversation, driven over a Redis connection of its own. Ends
// with the request at any moment; what Redis was told by then stays told.
class Logout {
  public:
    Logout(Gate* gate, const ServerConf* conf, User user);
    Logout(const Logout&) = delete;
    Logout& operator=(const Logout&) = delete;

    bool
    done() const {
        return done_;
    }
    const LogoutResult&
    result() const {
        return result_;
    }

  private:
    void finish(LogoutResult result);
    static void on_ended(void* data, RedisStatus status,
                         const std::exception* thrown) noexcept;

    Gate* gate_;
    Conversation<LogoutResult> talk_;
    RedisTalk redis_;
    bool done_ = false;
    LogoutResult result_;
};

Logout::Logout(Gate* gate, const ServerConf* conf, User user)
    : gate_(gate),
      talk_(log_out_everywhere(*conf->keys, std::move(user), now(),
                               random_bits())),
      redis_(main_conf(gate->request), on_ended, this) {
    if (!redis_.start(&talk_)) {
        result_.error = "redis is unreachable";
        done_ = true;  // nobody waits yet
    }
}

void
Logout::finish(LogoutResult result) {
    result_ = std::move(result);
    done_ = true;
    gate_wake(gate_);
}

void
Logout::on_ended(void* data, RedisStatus status,
                 const std::exception* thrown) noexcept {
    auto* self = static_cast<Logout*>(data);
    try {
        if (thrown != nullptr) {
            self->finish({LoggedOut::failed, 0, thrown->what()});
        } else if (status != RedisStatus::ok) {
            self->finish({LoggedOut::failed, 0, std::string(word(status))});
        } else {
            self->finish(std::move(self->talk_.result()));
        }
    } catch (const std::exception&) {  // no memory
        self->finish({});
    }
}

namespace {

ngx_int_t
only_by_post(ngx_http_request_t* r) {
    // A link, an image or a prefetch must not log anybody out everywhere.
    return add_header(r, "Allow", "POST") == NGX_OK ? NGX_HTTP_NOT_ALLOWED
                                                    : NGX_ERROR;
}

void
log_result(ngx_http_request_t* r, const Gate* gate) {
    const LogoutResult& result = gate->logout->result();
    ngx_str_t who = str(gate->identity.user->str());
    ngx_str_t error = str(result.error);
    switch (result.outcome) {
        case LoggedOut::everywhere:
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "entitle: \"%V\" logged out everywhere", &who);
            break;
        case LoggedOut::no_record:
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "entitle: \"%V\" logged out, nothing is kept about "
                          "this user",
                          &who);
            break;
        case LoggedOut::failed:
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "entitle: \"%V\" not logged out everywhere: %V", &who,
                          &error);
    }
}

// NGX_OK: done. Anything else: what the access handler returns.
ngx_int_t
everywhere(ngx_http_request_t* r, Gate* gate) {
    const ngx_int_t rc = gate_settle(r, gate);
    if (rc != NGX_OK) {
        return rc;
    }
    if (gate->stage == Gate::Stage::guest) {
        return NGX_OK;  // nobody is logged in
    }
    if (gate->stage == Gate::Stage::known) {
        if (gate->logout == nullptr) {
            gate->logout = std::make_shared<Logout>(gate, server_conf(r),
                                                    *gate->identity.user);
        }
        if (!gate->logout->done()) {
            return gate_suspend(r);
        }
        log_result(r, gate);
        if (gate->logout->result().outcome != LoggedOut::failed) {
            return NGX_OK;
        }
        gate->stage = Gate::Stage::trouble;
        gate->trouble = Reason::redis_unreachable;
    }
    return gate_fail(r, gate);
}

// Another site's page must not log its visitors out of this one.
bool
is_foreign(ngx_http_request_t* r) {
    std::optional<std::string_view> site, origin;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Sec-Fetch-Site")) {
            site = view(header.value);
        } else if (is_named(header, "Origin")) {
            origin = view(header.value);
        }
    });
    const ngx_table_elt_t* host = r->headers_in.host;
    return is_cross_site(
        site, origin, host == nullptr ? std::string_view() : view(host->value));
}

ngx_int_t
access(ngx_http_request_t* r) {
    const bool all = location_conf(r)->logout_all;
    if (all && r->method != NGX_HTTP_POST) {
        return only_by_post(r);
    }
    if (all && is_foreign(r)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "entitle: another site's page asked to log out "
                      "everywhere: refused");
        return NGX_HTTP_FORBIDDEN;
    }
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    if (all) {
        const ngx_int_t rc = everywhere(r, gate);
        if (rc != NGX_OK) {
            return rc;
        }
    }
    end_session(r, gate);
    return NGX_DECLINED;
}

}  // namespace

void
end_session(ngx_http_request_t* r, Gate* gate) {
    const ServerConf* conf = server_conf(r);
    gate->logged_out = true;
    gate->session_cookie = conf->session_keys == nullptr
                               ? std::string()
                               : clear_cookie(*conf->cookie);
}

ngx_int_t
logout_access(ngx_http_request_t* r) noexcept {
    try {
        return access(r);
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "entitle: logging out failed: %s", error.what());
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}

// Where nobody else answers.
ngx_int_t
logout_handler(ngx_http_request_t* r) noexcept {
    const ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;
    return ngx_http_send_header(r);
}

}  // namespace entitle::ngx
