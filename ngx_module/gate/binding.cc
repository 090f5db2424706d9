#include "ngx_module/gate/binding.h"

#include <algorithm>
#include <array>
#include <functional>

#include "ngx_module/gate/gate.h"
#include "ngx_module/http/cookies.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

std::string_view
kept(ngx_http_request_t* r, std::string_view text) {
    const ngx_str_t copy = pool_copy(r->pool, text);
    if (copy.data == nullptr) {
        throw std::bad_alloc();
    }
    return view(copy);
}

std::string_view
evaluated(ngx_http_request_t* r, ngx_http_complex_value_t* value) {
    ngx_str_t text;
    if (ngx_http_complex_value(r, value, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return view(text);
}

bool
binds(ngx_http_request_t* r) {
    return location_conf(r)->session_bind != nullptr;
}

std::string_view
bind_value(ngx_http_request_t* r, const BindSource& source,
           const std::vector<std::string>& set_cookies) {
    if (!source.cookies) {
        return evaluated(r, source.value);
    }
    // Nearly always there is one cookie of one name.
    const std::string* name = source.cookies->only();
    if (name != nullptr && set_cookies.empty()) {
        const std::vector<std::string_view> all = request_cookies(r, *name);
        if (all.size() <= 1) {
            return all.empty() ? std::string_view() : all.front();
        }
    }
    return kept(r, source.cookies->value(request_cookie_pairs(r), set_cookies));
}

// A part of the gate: whose session was bound to something else.
struct Unbound {
    std::optional<User> user;
};

// Users whose sessions did not fit lately; few, and forgotten by others.
class Changing {
  public:
    // True when it has happened often, within a minute or so.
    bool
    often(const void* bound_to, const User& user) {
        constexpr int kOften = 5;
        const std::size_t hash = std::hash<std::string_view>{}(user.str()) ^
                                 std::hash<const void*>{}(bound_to);
        Seen& seen = seen_[hash % seen_.size()];
        if (seen.hash != hash || ngx_time() - seen.since > 60) {
            seen = {hash, ngx_time(), 0};
        }
        return ++seen.count >= kOften;
    }

  private:
    struct Seen {
        std::size_t hash;
        time_t since;
        int count;
    };
    std::array<Seen, 64> seen_{};
};

}  // namespace

std::vector<BoundTo>
bound_to(ngx_http_request_t* r, const std::vector<std::string>& set_cookies) {
    std::vector<BoundTo> all;
    if (binds(r)) {
        for (const BindSource& source : *location_conf(r)->session_bind) {
            const std::string_view value = bind_value(r, source, set_cookies);
            all.push_back(
                source.cookies
                    ? BoundTo{"cookie", source.cookies->text(), value}
                    : BoundTo{"variable", view(source.value->value), value});
        }
    }
    if (server_conf(r)->any_host) {
        all.push_back({"host", {}, view(r->headers_in.server)});
    }
    if (const auto* key = location_conf(r)->reauth_key) {
        for (ngx_http_complex_value_t* value : *key) {
            all.push_back({"asked", view(value->value), evaluated(r, value)});
        }
    }
    return all;
}

bool
bound_by_variables(ngx_http_request_t* r) {
    if (location_conf(r)->reauth_key != nullptr) {
        return true;
    }
    if (!binds(r)) {
        return false;
    }
    const auto& all = *location_conf(r)->session_bind;
    return std::any_of(all.begin(), all.end(), [](const BindSource& source) {
        return !source.cookies;
    });
}

void
add_bound_variables(ngx_http_request_t* r, Evidence& evidence) {
    if (binds(r)) {
        for (const BindSource& source : *location_conf(r)->session_bind) {
            if (!source.cookies) {
                evidence.add(evaluated(r, source.value));
            }
        }
    }
    if (server_conf(r)->any_host) {
        evidence.add(view(r->headers_in.server));
    }
    if (const auto* key = location_conf(r)->reauth_key) {
        for (ngx_http_complex_value_t* value : *key) {
            evidence.add(evaluated(r, value));
        }
    }
}

bool
bound_here(ngx_http_request_t* r, const Session& session) {
    return bind_matches(*server_conf(r)->session_keys, session.binding,
                        bound_to(r, {}));
}

std::optional<std::string>
binding_now(ngx_http_request_t* r,
            const std::vector<std::string>& set_cookies) {
    const std::vector<BoundTo> before = bound_to(r, {});
    const std::vector<BoundTo> now = bound_to(r, set_cookies);
    for (std::size_t i = 0; i < now.size(); i++) {
        if (now[i].value.empty() && !before[i].value.empty()) {
            return std::nullopt;
        }
    }
    return entitle::bind(*server_conf(r)->session_keys, now);
}

void
advise_absent(ngx_http_request_t* r, bool named) {
    if (!binds(r)) {
        return;
    }
    std::string names;
    for (const BindSource& source : *location_conf(r)->session_bind) {
        if (!source.cookies || !bind_value(r, source, {}).empty()) {
            return;
        }
        names += (names.empty() ? "cookie=" : " cookie=");
        names += source.cookies->text();
    }
    static SeldomAbout of_users, of_guests;
    if (request_cookie_pairs(r).empty() ||
        !(named ? of_users : of_guests).due(location_conf(r)->session_bind)) {
        return;
    }
    const ngx_str_t text = str(names);
    const ngx_uint_t level = named ? NGX_LOG_WARN : NGX_LOG_INFO;
    ngx_log_error(level, r->connection->log, 0,
                  "entitle: a visitor%s sent cookies, but not the one that "
                  "\"entitle_session_bind %V\" names",
                  named ? " whom the app knows" : "", &text);
}

void
note_unbound(Gate* gate, User user) {
    gate->part<Unbound>().user = std::move(user);
}

void
advise_changing(ngx_http_request_t* r, const Gate* gate,
                const std::optional<User>& named) {
    static SeldomAbout seldom;
    const Unbound* unbound = gate->find<Unbound>();
    const void* bound_to = location_conf(r)->session_bind;
    if (unbound == nullptr || unbound->user != named || !named || !binds(r) ||
        !main_conf(r)->worker->part<Changing>().often(bound_to, *named) ||
        !seldom.due(bound_to)) {
        return;
    }
    ngx_str_t who = str(named->str());
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "entitle: what \"entitle_session_bind\" names changes again "
                  "and again for \"%V\", or other locations bind otherwise: no "
                  "session lasts, the app is asked each time",
                  &who);
}

}  // namespace entitle::ngx
