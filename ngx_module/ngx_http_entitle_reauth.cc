// Asking the app who this is, by a subrequest, once for all requests alike.
//
// Requests are alike when the app could not tell them apart: same server,
// re-authentication URI, Host, Cookie and Authorization headers and bind
// values, and same version seen in the record (an answer is not given to
// somebody who already knows that things have changed since it was asked).
// One of them leads: its subrequest asks. The others wait in its flight; when
// the leader's client goes away the next one leads, from the beginning.

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/ascii.h"
#include "core/user_in_json.h"
#include "ngx_module/ngx_http_entitle_gate.h"

namespace entitle::ngx {

struct Flight {
    Gate* leader = nullptr;
    std::vector<Gate*> waiting;
};

namespace {

// Of this worker; an entry lives as long as somebody is on it. Keyed by a MAC
// under a key of this process, so nobody can aim at somebody else's flight.
std::map<Mac, Flight>&
flights() {
    static std::map<Mac, Flight> all;
    return all;
}

const HmacSha256&
flight_mac() {
    static const HmacSha256 mac = [] {
        std::array<char, 32> key;
        if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()),
                       key.size()) != 1) {
            throw std::runtime_error("no random bytes");
        }
        return HmacSha256({key.data(), key.size()});
    }();
    return mac;
}

bool
is_named(const ngx_table_elt_t& header, std::string_view name) {
    return equal_ignoring_case(view(header.key), name);
}

// Length-prefixed, so that no part can pretend to be two.
void
add_part(std::string& message, std::string_view part) {
    message += std::to_string(part.size());
    message += ':';
    message += part;
}

Mac
flight_key(ngx_http_request_t* r, const Gate* gate,
           const std::vector<std::string>& bound) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    std::string message;
    const std::array<const void*, 2> here = {server, location->reauth_user};
    add_part(message,
             {reinterpret_cast<const char*>(here.data()), sizeof(here)});
    add_part(message, view(location->reauth));
    add_part(message, view(r->headers_in.server));
    add_part(message,
             std::to_string(gate->before ? gate->before->version : -1));
    for (const std::string& value : bound) {
        add_part(message, value);
    }
    each_header(r->headers_in.headers, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Host") || is_named(header, "Cookie") ||
            is_named(header, "Authorization")) {
            add_part(message, view(header.key));
            add_part(message, view(header.value));
        }
    });
    return flight_mac()({message});
}

bool
carries_credentials(ngx_http_request_t* r) {
    bool found = false;
    each_header(r->headers_in.headers, [&](const ngx_table_elt_t& header) {
        found |=
            is_named(header, "Cookie") || is_named(header, "Authorization");
    });
    return found;
}

// --- the subrequest ---------------------------------------------------------

// Belongs to the client's request and its body, not to the question who this
// is; passed on, each of these makes some app answer something else.
bool
passed_on(const ngx_table_elt_t& header) {
    constexpr std::string_view kept_back[] = {
        "Accept-Encoding",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Range",
        "Content-Type",
        "Expect",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
        "If-Unmodified-Since",
        "Keep-Alive",
        "Range",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    };
    return std::none_of(
        std::begin(kept_back), std::end(kept_back),
        [&](std::string_view name) { return is_named(header, name); });
}

// sr->headers_in is a copy of the parent's structure that shares its list, so
// the list is made anew.
ngx_int_t
strip_headers(ngx_http_request_t* sr) {
    ngx_http_headers_in_t& in = sr->headers_in;
    ngx_list_t all = in.headers;
    if (ngx_list_init(&in.headers, sr->pool, 20, sizeof(ngx_table_elt_t)) !=
        NGX_OK) {
        return NGX_ERROR;
    }
    bool full = false;
    each_header(all, [&](const ngx_table_elt_t& header) {
        if (!passed_on(header)) {
            return;
        }
        void* copy = ngx_list_push(&in.headers);
        if (copy == nullptr) {
            full = true;
            return;
        }
        *static_cast<ngx_table_elt_t*>(copy) = header;
    });

    in.content_length = nullptr;
    in.content_length_n = -1;
    in.chunked = 0;
    in.content_range = nullptr;
    in.content_type = nullptr;
    in.expect = nullptr;
    in.if_match = nullptr;
    in.if_modified_since = nullptr;
    in.if_none_match = nullptr;
    in.if_range = nullptr;
    in.if_unmodified_since = nullptr;
    in.keep_alive = nullptr;
    in.connection = nullptr;
    in.range = nullptr;
    in.te = nullptr;
    in.transfer_encoding = nullptr;
    in.upgrade = nullptr;
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    in.accept_encoding = nullptr;
#endif
    return full ? NGX_ERROR : NGX_OK;
}

// Values of variables are shared with the parent, both ways: `$http_upgrade`
// looked at in the auth location would be empty for ever after, and the
// parent's value would be sent to the app. So the subrequest gets its own,
// with the parent's values but for what speaks of the headers kept back.
ngx_int_t
separate_variables(ngx_http_request_t* sr) {
    const auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_get_module_main_conf(sr, ngx_http_core_module));
    const ngx_uint_t count = core->variables.nelts;
    const auto* variable =
        static_cast<ngx_http_variable_t*>(core->variables.elts);
    const std::size_t size = count * sizeof(ngx_http_variable_value_t);
    auto* values =
        static_cast<ngx_http_variable_value_t*>(ngx_palloc(sr->pool, size));
    if (values == nullptr) {
        return NGX_ERROR;
    }
    ngx_memcpy(values, sr->variables, size);
    for (ngx_uint_t i = 0; i < count; i++) {
        const std::string_view name = view(variable[i].name);
        if (name.starts_with("http_") || name.starts_with("content_") ||
            name.starts_with("upstream_") ||
            name.starts_with("proxy_internal_")) {
            values[i].valid = 0;
            values[i].not_found = 0;
        }
    }
    sr->variables = values;
    return NGX_OK;
}

// Called twice when the backend cannot be reached (first with status 0), so it
// only remembers. When the subrequest is really over nginx says so in
// sr->done and wakes the parent.
ngx_int_t
subrequest_over(ngx_http_request_t* sr, void* data, ngx_int_t rc) noexcept {
    Gate* gate = static_cast<Gate*>(data);
    if (sr->connection->error || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        return rc;
    }
    if (rc == NGX_ERROR || rc == NGX_HTTP_CLOSE ||
        rc == NGX_HTTP_REQUEST_TIME_OUT) {
        // These would end the client's request without an answer.
        gate->subrequest_broken = true;
        return NGX_OK;
    }
    return rc;
}

ngx_int_t
lead(ngx_http_request_t* r, Gate* gate) {
    const LocationConf* conf = location_conf(r);
    auto* over = static_cast<ngx_http_post_subrequest_t*>(
        ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t)));
    if (over == nullptr) {
        return NGX_ERROR;
    }
    over->handler = subrequest_over;
    over->data = gate;

    ngx_str_t uri = conf->reauth;
    ngx_str_t args = ngx_null_string;
    ngx_http_split_args(r, &uri, &args);

    gate->asked_at = now();
    gate->subrequest_broken = false;
    gate->body_complete = false;
    gate->body.clear();
    ngx_http_request_t* sr = nullptr;
    if (ngx_http_subrequest(r, &uri, &args, &sr, over,
                            NGX_HTTP_SUBREQUEST_WAITED) != NGX_OK) {
        return NGX_ERROR;
    }
    gate->subrequest = sr;

    // As auth_request: an empty body of its own keeps the client's from being
    // read, sent or closed.
    sr->request_body = static_cast<ngx_http_request_body_t*>(
        ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t)));
    if (sr->request_body == nullptr || strip_headers(sr) != NGX_OK ||
        separate_variables(sr) != NGX_OK) {
        return NGX_ERROR;
    }
    if (conf->reauth_user->kind == ReauthUser::Kind::json) {
        sr->filter_need_in_memory = 1;  // our body filter collects it
    } else {
        sr->header_only = 1;
    }
    return NGX_AGAIN;
}

// --- the answer -------------------------------------------------------------

using Kind = ReauthAnswer::Kind;

struct Named {
    Kind kind = Kind::failure;
    std::optional<User> user;
    const char* wrong = nullptr;  // of a failure, for the log
};

Named
named_by_text(std::string_view text, bool optional) {
    if (text.empty()) {
        if (optional) {
            return {Kind::guest, {}, nullptr};
        }
        return {Kind::failure, {}, "a success that names no user"};
    }
    std::optional<User> user = User::from(text);
    if (!user) {
        return {Kind::failure, {}, "a name that can be no user"};
    }
    return {Kind::user, std::move(user), nullptr};
}

Named
named_by_header(ngx_http_request_t* sr, const ReauthUser& from) {
    std::string_view value;
    int count = 0;
    each_header(sr->headers_out.headers, [&](const ngx_table_elt_t& header) {
        if (is_named(header, view(from.name))) {
            value = view(header.value);
            count++;
        }
    });
    if (count > 1) {
        return {Kind::failure, {}, "more than one user"};
    }
    return named_by_text(value, from.optional);
}

Named
named_by_variable(ngx_http_request_t* sr, const ReauthUser& from) {
    // Whatever was known of it before the app answered is not its answer.
    ngx_http_variable_value_t& known = sr->variables[from.variable_index];
    known.valid = 0;
    known.not_found = 0;
    const ngx_http_variable_value_t* value = ngx_http_get_indexed_variable(
        sr, static_cast<ngx_uint_t>(from.variable_index));
    if (value == nullptr) {
        return {};
    }
    std::string_view text;
    if (!value->not_found) {
        text = {reinterpret_cast<const char*>(value->data), value->len};
    }
    return named_by_text(text, from.optional);
}

Named
named_by_json(const Gate* gate, const ReauthUser& from) {
    if (gate->body.size() > kMaxReauthBody) {
        return {Kind::failure, {}, "more JSON than 64k"};
    }
    if (!gate->body_complete) {
        return {Kind::failure, {}, "an answer that broke off"};
    }
    UserInJson found = user_in_json(gate->body, view(from.name));
    switch (found.kind) {
        case UserInJson::Kind::user:
            return {Kind::user, std::move(found.user), nullptr};
        case UserInJson::Kind::guest:
            return {Kind::guest, {}, nullptr};
        case UserInJson::Kind::broken:
            break;
    }
    return {Kind::failure, {}, "JSON that names no user"};
}

Named
named_by(ngx_http_request_t* r, const Gate* gate) {
    const ReauthUser& from = *location_conf(r)->reauth_user;
    ngx_http_request_t* sr = gate->subrequest;
    const ngx_uint_t status = sr->headers_out.status;
    if (gate->subrequest_broken || status == 0) {
        return {Kind::failure, {}, "nothing"};
    }
    if (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN ||
        (status >= 300 && status < 400)) {
        return {Kind::guest, {}, nullptr};
    }
    if (status < 200 || status >= 300) {
        return {Kind::failure, {}, "an error"};
    }
    switch (from.kind) {
        case ReauthUser::Kind::header:
            return named_by_header(sr, from);
        case ReauthUser::Kind::variable:
            return named_by_variable(sr, from);
        case ReauthUser::Kind::json:
            break;
    }
    return named_by_json(gate, from);
}

std::shared_ptr<const ReauthAnswer>
read_answer(ngx_http_request_t* r, const Gate* gate) {
    Named named = named_by(r, gate);
    ngx_http_request_t* sr = gate->subrequest;
    if (named.kind == Kind::failure) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "entitle: re-authentication \"%V\" answered %s "
                      "(status %ui)",
                      &location_conf(r)->reauth,
                      named.wrong == nullptr ? "nothing" : named.wrong,
                      sr->headers_out.status);
    }
    auto answer = std::make_shared<ReauthAnswer>();
    answer->kind = named.kind;
    answer->user = std::move(named.user);
    answer->asked_at = gate->asked_at;
    each_header(sr->headers_out.headers, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Set-Cookie")) {
            answer->set_cookies.emplace_back(view(header.value));
        }
    });
    return answer;
}

// --- flights ----------------------------------------------------------------

void
erase_flight(const Flight* flight) noexcept {
    auto& all = flights();
    for (auto at = all.begin(); at != all.end(); ++at) {
        if (&at->second == flight) {
            all.erase(at);
            return;
        }
    }
}

// The leader has the answer: everybody has it.
void
land(Gate* leader) {
    Flight* flight = leader->flight;
    for (Gate* gate : flight->waiting) {
        gate->answer = leader->answer;
        gate->flight = nullptr;
        gate_wake(gate);
    }
    leader->flight = nullptr;
    erase_flight(flight);
}

}  // namespace

void
reauth_leave(Gate* gate) noexcept {
    Flight* flight = gate->flight;
    if (flight == nullptr) {
        return;
    }
    gate->flight = nullptr;
    auto& waiting = flight->waiting;
    if (flight->leader != gate) {
        waiting.erase(std::remove(waiting.begin(), waiting.end(), gate),
                      waiting.end());
        return;
    }
    if (waiting.empty()) {
        erase_flight(flight);
        return;
    }
    flight->leader = waiting.front();
    waiting.erase(waiting.begin());
    gate_wake(flight->leader);
}

ngx_int_t
reauthenticate(ngx_http_request_t* r, Gate* gate) {
    if (gate->answer) {
        return NGX_OK;
    }
    if (gate->flight == nullptr) {
        const LocationConf* conf = location_conf(r);
        if (conf->reauth.len == 0 || !carries_credentials(r)) {
            return NGX_DECLINED;
        }
        const auto bound = bind_values(r, {});
        if (!bound) {
            return NGX_DECLINED;
        }
        Flight& flight = flights()[flight_key(r, gate, *bound)];
        gate->flight = &flight;
        if (flight.leader != nullptr) {
            flight.waiting.push_back(gate);
            return NGX_AGAIN;
        }
        flight.leader = gate;
    }
    if (gate->flight->leader != gate) {
        return NGX_AGAIN;
    }
    if (gate->subrequest == nullptr) {
        return lead(r, gate);
    }
    if (!gate->subrequest->done) {
        return NGX_AGAIN;
    }
    gate->answer = read_answer(r, gate);
    gate->subrequest = nullptr;
    land(gate);
    return NGX_OK;
}

bool
is_reauth(const Gate* gate, ngx_http_request_t* r) {
    for (; gate->subrequest != nullptr && r != r->main; r = r->parent) {
        if (r == gate->subrequest) {
            return true;
        }
    }
    return false;
}

}  // namespace entitle::ngx
