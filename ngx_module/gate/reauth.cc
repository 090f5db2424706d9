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

#include "ngx_module/gate/gate.h"

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

// Length-prefixed, so that no part can pretend to be two.
void
add_part(std::string& message, std::string_view part) {
    message += std::to_string(part.size());
    message += ':';
    message += part;
}

Mac
flight_key(ngx_http_request_t* r, const Gate* gate,
           const std::vector<std::string_view>& bound) {
    const ServerConf* server = server_conf(r);
    const LocationConf* location = location_conf(r);
    std::string message;
    const std::array<const void*, 3> here = {server, location->reauth_user,
                                             location->claim_email};
    add_part(message,
             {reinterpret_cast<const char*>(here.data()), sizeof(here)});
    add_part(message, view(location->reauth));
    add_part(message, view(r->headers_in.server));
    add_part(message,
             std::to_string(gate->before ? gate->before->version : -1));
    for (std::string_view value : bound) {
        add_part(message, value);
    }
    each_request_header(r, [&](const ngx_table_elt_t& header) {
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
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        found |=
            is_named(header, "Cookie") || is_named(header, "Authorization");
    });
    return found;
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
    return ask(r, gate, {conf->reauth, wants_body, false});
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
    if (gate->given == nullptr) {
        if (gate->subrequest == nullptr) {
            return ask_app(r, gate);
        }
        if (!gate->subrequest->done) {
            return NGX_AGAIN;
        }
        gate->given = read_app_answer(r, gate);
        gate->subrequest = nullptr;
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
