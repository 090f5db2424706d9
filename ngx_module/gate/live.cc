#include "ngx_module/gate/live.h"

#include <functional>

#include "ngx_module/edge.h"
#include "ngx_module/gate/binding.h"
#include "ngx_module/gate/browser.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/live_room.h"
#include "ngx_module/gate/logout.h"
#include "ngx_module/gate/lookup.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/gate/ruling.h"
#include "ngx_module/http/cookies.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

LiveRoom&
room_of(const MainConf* conf) {
    LiveRoom* room = conf->worker->find<LiveRoom>();
    return room != nullptr ? *room : conf->worker->make<LiveRoom>(conf);
}

// Stands for the app's session that one of ours is bound to. 0: for none, so
// for all.
std::uint64_t
live_device(std::string_view binding) {
    return binding.empty() ? 0 : std::hash<std::string_view>{}(binding) | 1;
}

// As the session has it that the request came with, or that it is given.
std::uint64_t
device_of(ngx_http_request_t* r, const Order* order) {
    const bool is_ours =
        identity_kind(location_conf(r)) == IdentitySource::Kind::edge_session &&
        server_conf(r)->session_keys != nullptr;
    if (!is_ours) {
        return 0;
    }
    static const std::vector<std::string> kNone;
    const auto binding =
        binding_now(r, order == nullptr ? kNone : order->app_cookies());
    return live_device(binding.value_or(std::string()));
}

// What is required by variables is what they say now: a later redirect changes
// them. Null: the location says all of it.
const std::vector<Alternatives>*
kept_lines(ngx_http_request_t* r) {
    if (!requires_by_variables(r)) {
        return nullptr;
    }
    auto* lines = pool_new<std::vector<Alternatives>>(
        r->pool, required_lines(r, location_conf(r)));
    if (lines == nullptr) {
        throw std::bad_alloc();
    }
    for (Alternatives& alternatives : *lines) {
        for (std::string_view& name : alternatives) {
            const ngx_str_t copy = pool_copy(r->pool, name);
            if (copy.data == nullptr) {
                throw std::bad_alloc();
            }
            name = view(copy);
        }
    }
    return lines;
}

// A gate that refuses nobody, or that answers by itself, has nothing to end.
bool
is_watched(ngx_http_request_t* r) {
    const LocationConf* location = location_conf(r);
    return location->live != 0 && location->poll == 0 &&
           location->gate == static_cast<ngx_uint_t>(GateMode::on);
}

void
tell_of(ngx_http_request_t* r, const User& user, std::uint64_t device) {
    room_of(main_conf(r)).log_out({record_user(r, user), device});
}

void
log_out(ngx_http_request_t* r) {
    const ServerConf* server = server_conf(r);
    if (server->session_keys == nullptr) {
        return;
    }
    const bool everywhere = location_conf(r)->logout_all;
    if (forgets_browser(r)) {
        if (const auto browser = carried_browser(r).browser) {
            tell_of(r, browser->user, 0);
        }
    }
    for (const std::string_view token :
         request_cookies(r, server->cookie->name)) {
        const SessionVerdict verdict =
            verify_session(*server->session_keys,
                           *location_conf(r)->session_audience, token, now());
        if (!verdict.session) {
            continue;
        }
        const Session& session = *verdict.session;
        tell_of(r, session.user, everywhere ? 0 : live_device(session.binding));
        // What was let in since the key was changed is bound by the new one.
        const std::uint64_t device = device_of(r, nullptr);
        if (!everywhere && device != 0 &&
            device != live_device(session.binding) && bound_here(r, session)) {
            tell_of(r, session.user, device);
        }
    }
}

}  // namespace

void
live_watch(ngx_http_request_t* r, Gate* gate) {
    if (!is_watched(r)) {
        return;  // where it was let in before, that still counts
    }
    const Response& response = *gate->find<Response>();
    const Known known = known_of(gate);
    if (known.user == nullptr) {
        return;
    }
    const auto* order =
        response.passage != nullptr ? nullptr : gate->find<Order>();
    auto& live = gate->part<Live>();
    live.location = location_conf(r);
    live.lines = kept_lines(r);
    live.device = device_of(r, order);
    live.since =
        (response.passage ? response.passage->issued_at : order->said_at())
            .value_or(kForever);
    const bool verified =
        response.ruling().decision != Decision::allow_unverified;
    live.until = verified ? response.ruling().until : kForever;
    // What was read a moment ago may have been overtaken since; who reads each
    // time, because changes are not heard, does so soon enough.
    const bool sure =
        known.use == CacheUse::hit || known.use == CacheUse::bypass;
    room_of(main_conf(r)).enter(live, *known.user, sure);
}

void
live_log_out(ngx_http_request_t* r) noexcept {
    if (main_conf(r)->live_ends != nullptr) {
        edge::event("what is under way is not cut", [=] { log_out(r); });
    }
}

std::optional<Reason>
live_refusal(const Live& live, const RecordLookup& record, UnixTime& until) {
    const auto& not_before = record.standing.not_before;
    if (not_before && live.since < *not_before) {
        return Reason::logged_out;
    }
    ngx_http_request_t* r = live.gate->request;
    const Ruling ruling =
        live.lines != nullptr
            ? rule_by_record(r, record, *live.lines)
            : rule_by_record(r, record, required_lines(r, live.location));
    if (ruling.decision == Decision::allow ||
        ruling.decision == Decision::allow_stale) {
        until = ruling.until;
        return std::nullopt;
    }
    return ruling.reason;
}

}  // namespace entitle::ngx
