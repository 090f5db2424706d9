#include "ngx_module/gate/reauth.h"

#include <algorithm>
#include <map>

#include "ngx_module/counting.h"
#include "ngx_module/gate/alike.h"
#include "ngx_module/gate/binding.h"

namespace entitle::ngx {

namespace {

class Reauth;

struct Flight {
    Reauth* leader = nullptr;
    std::vector<Reauth*> waiting;
};

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

void
count_answer(ngx_http_request_t* r, const ReauthAnswer& given,
             ngx_msec_t took) {
    constexpr auto said = [](ReauthAnswer::Kind kind) {
        return kind == ReauthAnswer::Kind::user    ? Answer::user
               : kind == ReauthAnswer::Kind::guest ? Answer::guest
                                                   : Answer::failure;
    };
    SharedTally& counts = tally(r);
    counts.answers[static_cast<std::size_t>(said(given.kind))] += 1;
    counts.answer_times.add(kAnswerTimes, static_cast<std::int64_t>(took));
}

// A request on a flight, leading or waiting; a part of its gate. When it goes
// away others take over.
class Reauth {
  public:
    explicit Reauth(Gate* gate) : gate_(gate) {}
    ~Reauth() {
        leave_flight();
    }
    Reauth(const Reauth&) = delete;
    Reauth& operator=(const Reauth&) = delete;

    // As reauthenticate(), which see.
    ngx_int_t step(ngx_http_request_t* r, std::int64_t version,
                   std::shared_ptr<const ReauthAnswer>& answer);

  private:
    bool board(ngx_http_request_t* r, std::int64_t version);
    ngx_int_t lead(ngx_http_request_t* r);
    ngx_int_t ask(ngx_http_request_t* r, Asked& asked);
    void land();
    void leave_flight() noexcept;

    Gate* gate_;
    Flight* flight_ = nullptr;
    UnixTime asked_at_{};
    ngx_msec_t asked_ = 0;
    std::shared_ptr<ReauthAnswer> given_;  // by the app, not yet to the flight
    std::shared_ptr<const ReauthAnswer> answer_;
};

void
Reauth::leave_flight() noexcept {
    Flight* flight = flight_;
    if (flight == nullptr) {
        return;
    }
    flight_ = nullptr;
    auto& waiting = flight->waiting;
    if (flight->leader != this) {
        waiting.erase(std::remove(waiting.begin(), waiting.end(), this),
                      waiting.end());
        return;
    }
    if (waiting.empty()) {
        erase_flight(flight);
        return;
    }
    flight->leader = waiting.front();
    waiting.erase(waiting.begin());
    gate_wake(flight->leader->gate_);
}

// The leader has the answer: everybody has it.
void
Reauth::land() {
    Flight* flight = flight_;
    const auto shared = to_share(answer_);
    for (Reauth* one : flight->waiting) {
        one->answer_ = shared;
        one->flight_ = nullptr;
        gate_wake(one->gate_);
    }
    flight_ = nullptr;
    erase_flight(flight);
}

// Whether it is on a flight now.
bool
Reauth::board(ngx_http_request_t* r, std::int64_t version) {
    if (location_conf(r)->reauth.len == 0 || !carries_credentials(r)) {
        return false;
    }
    Flight& flight = flights()[question_key(r, bound_to(r, {}), version)];
    flight_ = &flight;
    if (flight.leader == nullptr) {
        flight.leader = this;
    } else {
        flight.waiting.push_back(this);
    }
    return true;
}

ngx_int_t
Reauth::ask(ngx_http_request_t* r, Asked& asked) {
    const LocationConf* conf = location_conf(r);
    const ClaimEmail* email = conf->claim_email;
    const bool wants_body = conf->reauth_user->kind == ReauthUser::Kind::json ||
                            (email != nullptr && email->json);
    asked_at_ = now();
    asked_ = ngx_current_msec;
    return asked.ask(r, {conf->reauth, wants_body});
}

ngx_int_t
Reauth::lead(ngx_http_request_t* r) {
    if (given_ == nullptr) {
        Asked& asked = gate_->part<Asked>();
        if (!asked.is_under_way()) {
            return ask(r, asked);
        }
        if (!asked.done()) {
            return NGX_AGAIN;
        }
        given_ = read_app_answer(r, asked, asked_at_);
        count_answer(r, *given_, ngx_current_msec - asked_);
        asked.end();
        advise_absent(r, given_->user.has_value());
        advise_changing(r, gate_, given_->user);
    }
    if (!claim_email(r, gate_, *given_)) {
        return NGX_AGAIN;
    }
    answer_ = std::move(given_);
    land();
    return NGX_OK;
}

ngx_int_t
Reauth::step(ngx_http_request_t* r, std::int64_t version,
             std::shared_ptr<const ReauthAnswer>& answer) {
    if (!answer_) {
        if (flight_ == nullptr && !board(r, version)) {
            return NGX_DECLINED;
        }
        const ngx_int_t rc = flight_->leader == this ? lead(r) : NGX_AGAIN;
        if (rc != NGX_OK) {
            return rc;
        }
    }
    answer = std::move(answer_);
    return NGX_OK;
}

}  // namespace

ngx_int_t
reauthenticate(ngx_http_request_t* r, Gate* gate, std::int64_t version,
               std::shared_ptr<const ReauthAnswer>& answer) {
    return gate->part<Reauth>().step(r, version, answer);
}

}  // namespace entitle::ngx
