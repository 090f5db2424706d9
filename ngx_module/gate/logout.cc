// entitle_logout: our cookie is cleared on whatever answer the location gives;
// with `all`, every device has to say again who it is.

#include "ngx_module/gate/logout.h"

#include <algorithm>

#include "core/delivery/logout.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/browser.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/cookies.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// Ends with the request at any moment; what Redis was told by then stays told.
class Everywhere {
  public:
    Everywhere(Gate* gate, const ServerConf* conf, const User& user)
        : talk_(
              main_conf(gate->request),
              [](void* data) noexcept { gate_wake(static_cast<Gate*>(data)); },
              gate) {
        talk_.start(log_out_everywhere(*conf->keys, user, now(), random_bits(),
                                       replica_wait(main_conf(gate->request))));
    }

    bool
    done() const {
        return talk_.done();
    }
    LoggedOut
    outcome() {
        return talk_.error().empty() ? talk_.result().outcome
                                     : LoggedOut::failed;
    }
    std::string_view
    error() {
        return talk_.error().empty() ? talk_.result().error : talk_.error();
    }

  private:
    RedisTalk<LogoutResult> talk_;
};

// A part of the gate.
struct Logout {
    std::optional<Everywhere> everywhere;
    bool cleared = false;  // whatever the response, our cookie goes
    bool refused = false;
    bool keeps_browser = false;  // what it bought may be a user's
};

ngx_int_t
only_by_post(ngx_http_request_t* r) {
    // A link, an image or a prefetch must not log anybody out everywhere.
    return add_header(r, "Allow", "POST") == NGX_OK ? NGX_HTTP_NOT_ALLOWED
                                                    : NGX_ERROR;
}

void
log_result(ngx_http_request_t* r, const User& user, Everywhere& everywhere) {
    ngx_str_t who = str(user.str());
    ngx_str_t error = str(everywhere.error());
    switch (everywhere.outcome()) {
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
            static Seldom seldom;
            seldom.error(r->connection->log,
                         "entitle: \"%V\" not logged out everywhere: %V", &who,
                         &error);
    }
}

// NGX_OK: done. Anything else: what the access handler returns.
ngx_int_t
everywhere(ngx_http_request_t* r, Gate* gate) {
    auto& order = gate->part<Order>();
    const ngx_int_t rc = order.find_out(r);
    if (rc != NGX_OK) {
        return rc;
    }
    if (order.guest()) {
        return NGX_OK;  // nobody is logged in
    }
    if (order.known()) {
        const User& user = *order.identity().user;
        auto& talk = gate->part<Logout>().everywhere;
        if (!talk) {
            talk.emplace(gate, server_conf(r), user);
        }
        if (!talk->done()) {
            return gate_suspend(r);
        }
        log_result(r, user, *talk);
        if (talk->outcome() != LoggedOut::failed) {
            gate->part<Logout>().keeps_browser = !order.by_browser();
            return NGX_OK;
        }
        order.fail(Reason::redis_unreachable);
    }
    return respond_trouble(r, gate);
}

// Of `all`. NGX_OK: it may go on.
ngx_int_t
check_request(ngx_http_request_t* r) {
    if (r->method != NGX_HTTP_POST) {
        return only_by_post(r);
    }
    // Another site's page must not log its visitors out of this one.
    if (may_be_foreign(r)) {
        static Seldom seldom;
        seldom.say(NGX_LOG_WARN, r->connection->log,
                   "entitle: another site's page asked to log out "
                   "everywhere: refused");
        return NGX_HTTP_FORBIDDEN;
    }
    return NGX_OK;
}

// Who logs out may have logged in just before, with a browser that bought: what
// it bought is theirs first. NGX_OK: `keeps_browser` is said.
ngx_int_t
hand_over_first(ngx_http_request_t* r, Gate* gate) {
    auto& order = gate->part<Order>();
    const ngx_int_t rc = order.find_out(r);
    if (rc != NGX_OK) {
        return rc;
    }
    gate->part<Logout>().keeps_browser = !order.guest() && !order.by_browser();
    return NGX_OK;
}

bool
shows_browser(ngx_http_request_t* r) {
    return knows_browsers(r) &&
           !request_cookies(r, server_conf(r)->browser_cookie->name).empty();
}

// Whether somebody may be logged in, as far as can be told without asking.
bool
may_be_somebody(ngx_http_request_t* r) {
    const LocationConf* conf = location_conf(r);
    const auto kind = identity_kind(conf);
    if (kind != IdentitySource::Kind::edge_session) {
        return true;
    }
    const std::vector<CookiePair> cookies = request_cookie_pairs(r);
    const std::string_view ours = server_conf(r)->browser_cookie->name;
    return conf->reauth.len != 0 &&
           std::any_of(cookies.begin(), cookies.end(),
                       [&](const CookiePair& one) { return one.name != ours; });
}

ngx_int_t
access(ngx_http_request_t* r) {
    Gate* gate = gate_make(r);
    if (gate == nullptr || let_go_of_body(r) != NGX_OK) {
        return NGX_ERROR;
    }
    auto& logout = gate->part<Logout>();
    if (location_conf(r)->logout_all) {
        ngx_int_t rc = check_request(r);
        if (rc != NGX_OK) {
            logout.refused = true;
            return rc;
        }
        rc = everywhere(r, gate);
        if (rc != NGX_OK) {
            return rc;
        }
    } else if (shows_browser(r) && !may_be_foreign(r)) {
        const ngx_int_t rc = hand_over_first(r, gate);
        if (rc != NGX_OK) {
            return rc;
        }
    }
    logout.cleared = true;
    return NGX_DECLINED;
}

// Null: the request came to none.
const Logout*
logout_of(ngx_http_request_t* r) {
    const Gate* gate = gate_of(r);
    return gate == nullptr ? nullptr : gate->find<Logout>();
}

}  // namespace

bool
is_logged_out(ngx_http_request_t* r) {
    const LocationConf* conf = location_conf(r);
    if (conf->role == Role::logout && !conf->logout_all) {
        return true;  // also where `return` responded
    }
    const Logout* logout = logout_of(r);
    return logout != nullptr && logout->cleared;
}

bool
forgets_browser(ngx_http_request_t* r) {
    if (!shows_browser(r) || may_be_foreign(r)) {
        return false;
    }
    const Logout* logout = logout_of(r);
    // Where `return` responded nobody was asked.
    return logout != nullptr && logout->cleared ? !logout->keeps_browser
                                                : !may_be_somebody(r);
}

bool
logout_refused(ngx_http_request_t* r) {
    const Logout* logout = logout_of(r);
    return logout != nullptr && logout->refused;
}

ngx_int_t
logout_access(ngx_http_request_t* r) noexcept {
    return edge::request(r, "logging out failed", [=] { return access(r); });
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
