#include "ngx_module/gate/meter.h"

#include <algorithm>
#include <memory>

#include "core/credit/credit_map.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/purse.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// A part of the gate, wanted by the log.
struct Meter {
    explicit Meter(Gate* its_gate) : gate(its_gate) {
        claim.gate = its_gate;
    }

    // The request ends.
    void
    leave() noexcept {
        claim.leave();
        give_back();
    }
    // Where it was not answered, or by a status of `refund=`.
    void give_back() noexcept;
    bool is_to_be_given_back() const;

    Gate* gate;
    const MeterSettings* settings = nullptr;  // by which it pays, or has paid
    std::shared_ptr<PurseAccount> account;
    CreditClaim claim;
    std::int64_t cost = 0;
    bool begun = false;  // asks, or is answered
    bool paid = false;
    bool owed = false;  // let by while Redis was away
    bool told = false;  // by the app what it cost
    std::optional<MeterView> view;
};

// The app's own word first: error_page may make another status of it.
bool
has_status(ngx_http_request_t* r, const std::vector<ngx_uint_t>& statuses) {
    auto is_one = [&](ngx_uint_t status) {
        return std::find(statuses.begin(), statuses.end(), status) !=
               statuses.end();
    };
    if (r->upstream_states != nullptr && r->upstream_states->nelts != 0) {
        const auto* states = static_cast<const ngx_http_upstream_state_t*>(
            r->upstream_states->elts);
        if (is_one(states[r->upstream_states->nelts - 1].status)) {
            return true;
        }
    }
    return is_one(r->headers_out.status) ||
           (r->err_status != 0 && is_one(r->err_status));
}

bool
Meter::is_to_be_given_back() const {
    ngx_http_request_t* r = gate->request;
    return r->header_sent == 0 || has_status(r, settings->refund);
}

void
Meter::give_back() noexcept {
    if (begun && claim.answer == CreditClaim::Answer::paid && !claim.looks) {
        paid = true;  // and has not heard of it
    }
    begun = false;
    if (!paid || !is_to_be_given_back()) {
        return;
    }
    paid = false;
    edge::event("credits are not given back", [this] {
        if (owed) {
            account->owe(-cost);
        } else {
            account->put_back(claim.charge, settings->block);
        }
    });
}

MeterView
view_of(const std::string& name, const CreditWallet& wallet) {
    return {name, wallet.put(), wallet.left(), wallet.comes_back(),
            wallet.window()};
}

// Null: it is no number, and logged.
std::optional<std::int64_t>
cost_of(ngx_http_request_t* r, const MeterSettings& settings) {
    if (settings.cost == nullptr) {
        return 1;
    }
    ngx_str_t text;
    if (ngx_http_complex_value(r, settings.cost, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    const auto cost = text.len == 0 ? std::nullopt : parse_cost(view(text));
    if (!cost) {
        static Seldom seldom;
        const ngx_str_t name = str(settings.name);
        seldom.error(r->connection->log,
                     "entitle: the cost \"%V\" of a request is no number of "
                     "credits \"%V\": refused",
                     &text, &name);
    }
    return cost;
}

Ruling
no_credits(const Meter& meter) {
    Ruling ruling;
    ruling.decision = Decision::pay;
    ruling.reason = Reason::credits_exhausted;
    ruling.credits = CreditShortage{
        meter.settings->name, meter.cost, meter.view ? meter.view->left : 0,
        meter.view ? meter.view->comes_back : std::nullopt};
    return ruling;
}

// Whom the gate lets by while Redis is away pays later.
bool
lets_by(ngx_http_request_t* r, Meter& meter) {
    if (location_conf(r)->redis_down == 0) {
        return false;
    }
    static Seldom seldom;
    const ngx_str_t name = str(meter.settings->name);
    seldom.say(NGX_LOG_WARN, r->connection->log,
               "entitle: redis is unreachable: let by, %L credits \"%V\" are "
               "taken later",
               meter.cost, &name);
    meter.account->owe(meter.cost);
    meter.owed = meter.paid = true;
    return true;
}

Metered
conclude(ngx_http_request_t* r, Meter& meter, Ruling& ruling) {
    using Answer = CreditClaim::Answer;
    if (meter.claim.answer == Answer::none) {
        return Metered::waits;
    }
    meter.begun = false;
    const CreditWallet& wallet = meter.account->wallet();
    if (wallet.put() > 0 || meter.claim.answer == Answer::exhausted) {
        meter.view = view_of(meter.settings->name, wallet);
        meter.view->left = meter.claim.left;
    }
    switch (meter.claim.answer) {
        case Answer::paid:
            meter.paid = !meter.claim.looks;
            return Metered::passes;
        case Answer::exhausted:
            ruling = no_credits(meter);
            return Metered::refused;
        case Answer::unreachable:
            if (!meter.claim.looks && lets_by(r, meter)) {
                return Metered::passes;
            }
            ruling = cannot_tell(Reason::redis_unreachable);
            return Metered::refused;
        case Answer::unreadable:
        case Answer::none:
            break;
    }
    ruling = cannot_tell(Reason::record_unreadable);
    return Metered::refused;
}

Metered
begin(ngx_http_request_t* r, Gate* gate, Meter& meter, Ruling& ruling) {
    const LocationConf* location = location_conf(r);
    const MeterSettings& settings = *location->meter;
    const auto cost = cost_of(r, settings);
    if (!cost) {
        ruling = cannot_tell(Reason::cost_unknown);
        return Metered::refused;
    }
    const Known known = known_of(gate);
    if (known.user == nullptr) {
        ruling = cannot_tell(Reason::redis_unreachable);
        return Metered::refused;
    }
    // One account of two locations that a request is led through: once.
    if (meter.paid && meter.settings->name == settings.name) {
        return Metered::passes;
    }
    meter.give_back();
    meter.settings = &settings;
    meter.cost = *cost;
    meter.paid = meter.owed = false;
    meter.view.reset();
    meter.account = purse_of(main_conf(r))
                        .account(server_conf(r), *known.user, settings.name);
    if (*cost == 0) {
        meter.claim.charge.clear();
        meter.paid = !location->lets_everybody_by();
        return Metered::passes;
    }
    meter.begun = true;
    meter.claim.cost = *cost;
    meter.claim.looks = location->lets_everybody_by();
    meter.account->ask(meter.claim, settings.block);
    return conclude(r, meter, ruling);
}

// --- on the way out
// -----------------------------------------------------------

void
take_told_cost(ngx_http_request_t* r, Meter& meter, std::string_view text) {
    const auto told = text.empty() ? std::nullopt : parse_cost(text);
    if (!told) {
        static Seldom seldom;
        const ngx_str_t value = str(text);
        seldom.error(r->connection->log,
                     "entitle: \"X-Entitle-Cost: %V\" of the app is no number "
                     "of credits: what was taken stays",
                     &value);
        return;
    }
    if (!meter.paid || meter.told || meter.owed ||
        has_status(r, meter.settings->refund)) {
        return;
    }
    meter.told = true;
    if (*told > meter.cost) {
        meter.account->pay_late(*told - meter.cost);
    } else if (*told < meter.cost) {
        // What is taken last is given back first.
        std::int64_t less = meter.cost - *told;
        Charge back;
        for (auto share = meter.claim.charge.rbegin();
             share != meter.claim.charge.rend() && less > 0; ++share) {
            const std::int64_t credits = std::min(less, share->credits);
            back.push_back({share->from, share->until, credits});
            share->credits -= credits;
            less -= credits;
        }
        meter.account->put_back(back, meter.settings->block);
    }
    if (meter.view) {
        meter.view->left = meter.account->wallet().left();
    }
}

ngx_int_t
add_limits(ngx_http_request_t* r, const MeterView& said) {
    const ngx_str_t policy =
        pool_copy(r->pool, rate_limit_policy(said.name, said.put, said.window));
    const ngx_str_t limit = pool_copy(
        r->pool, rate_limit(said.name, said.left, said.comes_back, now()));
    if (policy.data == nullptr || limit.data == nullptr) {
        return NGX_ERROR;
    }
    return add_header(r, "RateLimit-Policy", view(policy)) == NGX_OK
               ? add_header(r, "RateLimit", view(limit))
               : NGX_ERROR;
}

}  // namespace

bool
meter_is_under_way(const Gate* gate) {
    const auto* meter = gate == nullptr ? nullptr : gate->find<Meter>();
    return meter != nullptr && meter->begun;
}

Metered
meter_pass(ngx_http_request_t* r, Gate* gate, Ruling& ruling) {
    if (location_conf(r)->meter == nullptr || polled(r)) {
        return Metered::passes;
    }
    auto& meter = gate->part<Meter>();
    return meter.begun ? conclude(r, meter, ruling)
                       : begin(r, gate, meter, ruling);
}

const MeterView*
meter_view(const Gate* gate) {
    const auto* meter = gate == nullptr ? nullptr : gate->find<Meter>();
    return meter == nullptr || !meter->view ? nullptr : &*meter->view;
}

ngx_int_t
meter_filter(ngx_http_request_t* r, Gate* gate) {
    auto* meter = gate == nullptr ? nullptr : gate->find<Meter>();
    if (meter == nullptr || meter->settings == nullptr) {
        return NGX_OK;
    }
    std::optional<std::string_view> told;
    each_answer_header(r, [&](ngx_table_elt_t& header) {
        if (is_named(header, "X-Entitle-Cost")) {
            told = view(header.value);
            header.hash = 0;
        }
    });
    if (told) {
        take_told_cost(r, *meter, *told);
    }
    return meter->view ? add_limits(r, *meter->view) : NGX_OK;
}

}  // namespace entitle::ngx
