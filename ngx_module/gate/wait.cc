#include "ngx_module/gate/wait.h"

#include "core/report/words.h"
#include "ngx_module/counting.h"
#include "ngx_module/gate/lookup.h"
#include "ngx_module/gate/ruling.h"
#include "ngx_module/gate/wait_room.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

constexpr ngx_msec_t kLook = 1000;

WaitRoom&
room_of(const MainConf* conf) {
    WaitRoom* room = conf->worker->find<WaitRoom>();
    return room != nullptr ? *room
                           : conf->worker->make<WaitRoom>(record_cache(conf),
                                                          conf->wait_limit,
                                                          conf->wait_limit_per);
}

// 0: not at all.
ngx_msec_t
time_to_wait(ngx_http_request_t* r) {
    const LocationConf* conf = location_conf(r);
    if (conf->gate != static_cast<ngx_uint_t>(GateMode::on) ||
        conf->lets_everybody_by()) {
        return 0;
    }
    if (conf->poll != 0 || conf->wait.time == 0 ||
        conf->wait.only_if == nullptr) {
        return conf->poll != 0 ? conf->poll : conf->wait.time;
    }
    ngx_str_t text;
    if (ngx_http_complex_value(r, conf->wait.only_if, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return text.len == 0 || view(text) == "0" ? 0 : conf->wait.time;
}

// Whoever has one IPv6 address has all of its /64.
std::uint64_t
address_of(const ngx_connection_t* c) {
    std::uint64_t address = 0;
    if (c->sockaddr->sa_family == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(c->sockaddr);
        address = std::uint64_t{0xffff} << 32 | in->sin_addr.s_addr;
    }
#if (NGX_HAVE_INET6)
    if (c->sockaddr->sa_family == AF_INET6) {
        const auto* in = reinterpret_cast<const sockaddr_in6*>(c->sockaddr);
        ngx_memcpy(&address, &in->sin6_addr, sizeof(address));
    }
#endif
    return address;
}

// Cookies off, another browser than the one that bought, or a stranger who
// types the address. There is nobody whose purchase could be waited for.
void
say_nameless(ngx_http_request_t* r) {
    if (location_conf(r)->wait.only_if == nullptr) {
        return;
    }
    static Seldom seldom;
    const ServerConf* server = server_conf(r);
    const std::string command = command_words(
        "why", "E-MAIL", view(server->prefix), static_cast<Mode>(server->mode));
    seldom.say(NGX_LOG_WARN, r->connection->log,
               "entitle: a browser without an id came from the checkout: what "
               "it bought is found by the e-mail of the payment: %s",
               command.c_str());
}

bool
begin(ngx_http_request_t* r, Waiting& waiting, const Order& order) {
    const ngx_msec_t time = time_to_wait(r);
    if (time == 0) {
        return false;
    }
    waiting.state = Waiting::State::over;
    if (!order.identity().user) {
        say_nameless(r);
        return false;
    }
    if (worker_quits()) {
        return false;
    }
    waiting.user = record_user(r, *order.identity().user);
    if (knows_browsers(r) && !order.by_browser()) {
        if (const auto browser = carried_browser(r).browser) {
            waiting.beside = record_user(r, browser->user);
        }
    }
    waiting.address = address_of(r->connection);
    waiting.since = ngx_current_msec;
    waiting.until = ngx_current_msec + time;
    waiting.bought = location_conf(r)->poll == 0 &&
                     location_conf(r)->wait.only_if != nullptr;
    WaitRoom& room = room_of(main_conf(r));
    if (!room.enter(&waiting)) {
        tally(r).waits[static_cast<std::size_t>(WaitEnd::full)] += 1;
        return false;
    }
    waiting.state = Waiting::State::listed;
    note_held(main_conf(r), room.size());
    return true;
}

// What a request does that would be answered by a ruling.
enum class WaitStep {
    answer,
    look,  // again, from the record on
    hold,  // until gate_wake
};

WaitStep
look(ngx_http_request_t* r, Waiting& waiting, Order& order) {
    waiting.changed = false;
    waiting.heard_by = record_cache(main_conf(r)).changes_heard();
    // Apart from each other, when many began to wait at once.
    waiting.look_at = ngx_current_msec + kLook * 3 / 4 +
                      static_cast<ngx_msec_t>(ngx_random()) % (kLook / 2);
    order.look_again(r);
    return WaitStep::look;
}

bool
may_get_better(const Ruling& ruling) {
    return ruling.decision != Decision::allow_unverified &&
           (ruling.decision == Decision::pay ||
            ruling.reason == Reason::redis_unreachable);
}

bool
is_let_in(const Ruling& ruling) {
    return ruling.decision == Decision::allow ||
           ruling.decision == Decision::allow_stale ||
           ruling.decision == Decision::allow_unverified;
}

WaitEnd
how_it_ended(const Waiting& waiting, const Ruling& ruling) {
    if (is_let_in(ruling)) {
        return WaitEnd::let_in;
    }
    if (ruling.decision != Decision::pay || !is_past(waiting.until)) {
        return WaitEnd::ended;
    }
    return waiting.bought ? WaitEnd::in_vain : WaitEnd::timed_out;
}

// The earliest sign there is of a purchase that does not arrive. Whoever
// types the address can bring it about.
void
say_in_vain(ngx_http_request_t* r, const Waiting& waiting, const Order& order) {
    static Seldom seldom;
    const ServerConf* server = server_conf(r);
    const User& user = *order.identity().user;
    const std::string command =
        command_words("why", user.str(), view(server->prefix),
                      static_cast<Mode>(server->mode));
    ngx_str_t who = str(user.str());
    seldom.say(NGX_LOG_WARN, r->connection->log,
               "entitle: \"%V\" came from the checkout and waited %M ms in "
               "vain: %s",
               &who, ngx_current_msec - waiting.since, command.c_str());
}

WaitStep
end(ngx_http_request_t* r, Waiting& waiting, const Order& order,
    const Ruling& ruling) {
    const WaitEnd how = how_it_ended(waiting, ruling);
    waiting.end(how);
    if (how == WaitEnd::in_vain && order.identity().user) {
        say_in_vain(r, waiting, order);
    }
    ngx_str_t decision = str(name(ruling.decision));
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "entitle: waited %M ms: %V", ngx_current_msec - waiting.since,
                  &decision);
    return WaitStep::answer;
}

WaitStep
next_step(ngx_http_request_t* r, Waiting& waiting, Order& order,
          const Ruling& ruling) {
    waiting.held = false;
    if (waiting.state != Waiting::State::listed) {
        const bool may_begin = waiting.state == Waiting::State::not_yet &&
                               ruling.decision == Decision::pay;
        return may_begin && begin(r, waiting, order) ? look(r, waiting, order)
                                                     : WaitStep::answer;
    }
    if (!may_get_better(ruling) || is_past(waiting.until) || worker_quits()) {
        return end(r, waiting, order, ruling);
    }
    const auto& user = order.identity().user;
    if (user && waiting.user != record_user(r, *user)) {
        return end(r, waiting, order,
                   ruling);  // the app says it is somebody else now
    }
    if (waiting.changed) {
        return look(r, waiting, order);
    }
    waiting.failed = ruling.decision == Decision::error;
    waiting.held = true;
    return WaitStep::hold;
}

}  // namespace

ngx_int_t
wait_for_ruling(ngx_http_request_t* r, Gate* gate, Ruling& ruling) {
    for (;;) {
        const ngx_int_t rc = find_ruling(r, gate, ruling);
        if (rc != NGX_OK) {
            return rc;
        }
        // Nearly nobody waits, or has to.
        if (gate->find<Waiting>() == nullptr &&
            ruling.decision != Decision::pay) {
            return NGX_OK;
        }
        auto& waiting = gate->part<Waiting>();
        switch (next_step(r, waiting, gate->part<Order>(), ruling)) {
            case WaitStep::answer:
                return NGX_OK;
            case WaitStep::look:
                break;
            case WaitStep::hold:
                return gate_suspend(r);
        }
    }
}

void
set_pulse(Gate* gate, ngx_msec_t in) {
    auto& waiting = gate->part<Waiting>();
    waiting.pulse = false;
    waiting.pulse_at = ngx_current_msec + in;
}

bool
has_pulse(const Gate* gate) {
    const auto* waiting = gate->find<Waiting>();
    return waiting != nullptr && waiting->pulse;
}

}  // namespace entitle::ngx
