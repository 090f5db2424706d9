// Asking the app who this is, by a subrequest, once for all requests alike.
//
// Which requests are alike says gate/alike.h. One of them leads: its subrequest
// asks. The others wait in its flight; when the leader's client goes away the
// next one leads, from the beginning.

#include <algorithm>
#include <map>

#include "ngx_module/gate/alike.h"
#include "ngx_module/gate/binding.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

struct Flight {
    Gate* leader = nullptr;
    std::vector<Gate*> waiting;
};

namespace {

// Of this worker; an entry lives as long as somebody is on it.
std::map<Mac, Flight>&
flights() {
    static std::map<Mac, Flight> all;
    return all;
}

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

ngx_int_t
ask_app(ngx_http_request_t* r, Gate* gate) {
    const LocationConf* conf = location_conf(r);
    const ClaimEmail* email = conf->claim_email;
    const bool wants_body = conf->reauth_user->kind == ReauthUser::Kind::json ||
                            (email != nullptr && email->json);
    gate->asked_at = now();
    return ask(r, gate, {conf->reauth, wants_body});
}

// What the app said to the one who asked, for those who only waited: a guest's
// cookies are the start of a session of one's own, and that is one's alone.
std::shared_ptr<const ReauthAnswer>
to_share(const std::shared_ptr<const ReauthAnswer>& answer) {
    if (answer->kind != ReauthAnswer::Kind::guest ||
        answer->set_cookies.empty()) {
        return answer;
    }
    auto shared = std::make_shared<ReauthAnswer>(*answer);
    shared->set_cookies.clear();
    return shared;
}

// The leader has the answer: everybody has it.
void
land(Gate* leader) {
    Flight* flight = leader->flight;
    const auto shared = to_share(leader->answer);
    for (Gate* gate : flight->waiting) {
        gate->answer = shared;
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
        const std::int64_t version = gate->before ? gate->before->version : -1;
        Flight& flight =
            flights()[question_key(r, bind_values(r, {}), version)];
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
    if (gate->given == nullptr) {
        if (gate->subrequest == nullptr) {
            return ask_app(r, gate);
        }
        if (!gate->subrequest->done) {
            return NGX_AGAIN;
        }
        gate->given = read_app_answer(r, gate);
        gate->subrequest = nullptr;
        advise_absent(r, gate->given->user.has_value());
        if (gate->unbound && gate->unbound == gate->given->user) {
            advise_changing(r, *gate->unbound);
        }
    }
    if (!claim_email(r, gate, *gate->given)) {
        return NGX_AGAIN;
    }
    gate->answer = std::move(gate->given);
    land(gate);
    return NGX_OK;
}

bool
is_question(const Gate* gate, ngx_http_request_t* r) {
    for (; gate->subrequest != nullptr && r != r->main; r = r->parent) {
        if (r == gate->subrequest) {
            return true;
        }
    }
    return false;
}

}  // namespace entitle::ngx
