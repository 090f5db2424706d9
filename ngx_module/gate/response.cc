#include "ngx_module/gate/response.h"

#include <utility>

#include "core/access/problem.h"
#include "core/base/ascii.h"
#include "core/http/accept.h"
#include "ngx_module/counting.h"
#include "ngx_module/gate/live.h"
#include "ngx_module/gate/meter.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

enum class Asker { navigation, form, program };

Asker
asker_of(ngx_http_request_t* r) {
    RequestSigns signs;
    signs.get_or_head = (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
    signs.post = r->method == NGX_HTTP_POST;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        const std::string_view name = view(header.key);
        if (equal_ignoring_case(name, "Accept")) {
            signs.accept.push_back(view(header.value));
        } else if (equal_ignoring_case(name, "X-Requested-With")) {
            signs.x_requested_with = view(header.value);
        } else if (equal_ignoring_case(name, "Sec-Fetch-Mode")) {
            signs.sec_fetch_mode = view(header.value);
        } else if (equal_ignoring_case(name, "Content-Type")) {
            signs.content_type = view(header.value);
        }
    });
    if (polled(r)) {
        return Asker::program;
    }
    return is_navigation(signs)  ? Asker::navigation
           : is_form_post(signs) ? Asker::form
                                 : Asker::program;
}

// --- refusing ---------------------------------------------------------------

ngx_str_t
who_of(const Gate* gate) {
    if (const User* user = known_of(gate).user) {
        return str(user->str());
    }
    const auto* order = gate->find<Order>();
    return order != nullptr && order->identity().user
               ? str(order->identity().user->str())
               : ngx_str_t ngx_string("nobody");
}

void
log_refusal(ngx_http_request_t* r, const Gate* gate, const Ruling& ruling) {
    ngx_str_t decision = str(name(ruling.decision));
    ngx_str_t reason = str(name(ruling.reason));
    ngx_str_t who = who_of(gate);
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "entitle: %V for \"%V\": %V", &decision, &who, &reason);
}

// What a gate that refuses nobody would have said.
void
log_let_by(ngx_http_request_t* r, const Gate* gate, const Ruling& ruling) {
    static Seldom seldom;
    ngx_str_t decision = str(name(ruling.decision));
    ngx_str_t reason = str(name(ruling.reason));
    ngx_str_t who = who_of(gate);
    seldom.say(NGX_LOG_WARN, r->connection->log,
               "entitle: dry run, let by: %V for \"%V\": %V", &decision, &who,
               &reason);
}

// NGX_DECLINED: no login page is configured, or its URL came out unusable.
ngx_int_t
login_url(ngx_http_request_t* r, ngx_str_t& location) {
    ngx_http_complex_value_t* url = location_conf(r)->login_url;
    if (url == nullptr) {
        return NGX_DECLINED;
    }
    if (ngx_http_complex_value(r, url, &location) != NGX_OK) {
        return NGX_ERROR;
    }
    if (!is_location(view(location))) {
        static Seldom seldom;
        seldom.error(r->connection->log,
                     "entitle: entitle_login_url is empty or has control "
                     "bytes for this request");
        return NGX_DECLINED;
    }
    return NGX_OK;
}

ngx_int_t
redirect_to_login(ngx_http_request_t* r) {
    ngx_str_t location;
    const ngx_int_t rc = login_url(r, location);
    if (rc != NGX_OK) {
        return rc;
    }
    return set_location(r, location) == NGX_OK ? NGX_HTTP_MOVED_TEMPORARILY
                                               : NGX_ERROR;
}

// Whether error_page has one here that keeps the status and is not a redirect.
// NGX_DECLINED: no.
ngx_int_t
error_page_here(ngx_http_request_t* r, ngx_int_t status) {
    const auto* core = static_cast<const ngx_http_core_loc_conf_t*>(
        ngx_http_get_module_loc_conf(r, ngx_http_core_module));
    if (r->error_page || core->error_pages == nullptr) {
        return NGX_DECLINED;
    }
    auto* page = static_cast<ngx_http_err_page_t*>(core->error_pages->elts);
    for (ngx_uint_t i = 0; i < core->error_pages->nelts; i++) {
        if (page[i].status != status) {
            continue;
        }
        ngx_str_t uri;
        if (ngx_http_complex_value(r, &page[i].value, &uri) != NGX_OK) {
            return NGX_ERROR;
        }
        const bool keeps_status =
            page[i].overwrite < 0 || page[i].overwrite == status;
        const bool is_here =
            view(uri).starts_with('/') || view(uri).starts_with('@');
        return keeps_status && is_here ? NGX_OK : NGX_DECLINED;
    }
    return NGX_DECLINED;
}

// Sent from here, so that no error_page turns it into something else. We are
// the last access handler: under `satisfy any` nobody else would have let it
// pass either.
ngx_int_t
send_refusal(ngx_http_request_t* r, ngx_int_t status, std::string_view type,
             const std::string& body) {
    r->expect_tested = 1;  // its body is not wanted
    ngx_http_finalize_request(
        r, send_json(r, static_cast<ngx_uint_t>(status), type, body));
    return NGX_DONE;
}

ngx_int_t
refuse_form(ngx_http_request_t* r, const Ruling& ruling) {
    const ngx_int_t status = status_of(ruling.decision);
    const ngx_int_t page = error_page_here(r, status);
    if (page != NGX_DECLINED) {
        return page == NGX_OK ? status : page;
    }
    ngx_str_t login = ngx_null_string;
    if (ruling.decision == Decision::login) {
        const ngx_int_t rc = login_url(r, login);
        if (rc == NGX_ERROR) {
            return rc;
        }
        if (rc == NGX_DECLINED) {
            ngx_str_null(&login);
        }
    }
    return send_refusal(r, status, "text/html",
                        problem_page(ruling, view(login)));
}

ngx_int_t
refuse(ngx_http_request_t* r, Gate* gate) {
    auto& response = gate->part<Response>();
    const Ruling& ruling = response.ruling();
    log_refusal(r, gate, ruling);
    response.refused = true;
    const ngx_int_t status = status_of(ruling.decision);
    const Asker asker = asker_of(r);

    if (ruling.decision == Decision::login && asker == Asker::navigation) {
        const ngx_int_t rc = redirect_to_login(r);
        return rc == NGX_DECLINED ? status : rc;
    }
    if (asker == Asker::navigation || location_conf(r)->problem_json == 0) {
        return status;
    }
    return asker == Asker::form
               ? refuse_form(r, ruling)
               : send_refusal(r, status, "application/problem+json",
                              problem_json(ruling));
}

// Decided; what the app is told says so, too.
ngx_int_t
decide_by(ngx_http_request_t* r, Gate* gate, Ruling ruling) {
    gate->part<Response>().decide(std::move(ruling));
    return set_request_headers(r, gate);
}

// Gates that may refuse; a poll only says what is so.
bool
is_counted(ngx_http_request_t* r) {
    return location_conf(r)->gate == static_cast<ngx_uint_t>(GateMode::on) &&
           !polled(r);
}

void
count_decided(ngx_http_request_t* r, const Response& response) {
    const bool as_before = response.passage != nullptr;
    if (as_before && !response.metered && is_counted(r)) {
        tally(r).remembered += 1;
        return;
    }
    if (as_before) {
        count(tally(r), Lookup::hit);
    }
    if (is_counted(r)) {
        const Ruling& ruling = response.ruling();
        count(tally(r), ruling.decision, ruling.reason);
    }
}

ngx_int_t
refuse_or_let_by(ngx_http_request_t* r, Gate* gate) {
    if (!location_conf(r)->lets_everybody_by()) {
        return refuse(r, gate);
    }
    const Ruling& ruling = gate->find<Response>()->ruling();
    tally(r).let_by[static_cast<std::size_t>(ruling.decision)] += 1;
    log_let_by(r, gate, ruling);
    return NGX_DECLINED;  // NGX_OK would satisfy `satisfy any`
}

ngx_int_t
let_in(ngx_http_request_t* r, Gate* gate) {
    auto& response = gate->part<Response>();
    Ruling short_of;
    switch (meter_pass(r, gate, short_of)) {
        case Metered::passes:
            break;
        case Metered::waits:
            return gate_suspend(r);
        case Metered::refused:
            response.metered = std::move(short_of);
            count_decided(r, response);
            return refuse_or_let_by(r, gate);
    }
    count_decided(r, response);
    if (const MeterView* credits = meter_view(gate);
        credits != nullptr && set_credits_header(r, credits->left) != NGX_OK) {
        return NGX_ERROR;
    }
    live_watch(r, gate);
    // NGX_OK would satisfy `satisfy any`.
    return location_conf(r)->gate == static_cast<ngx_uint_t>(GateMode::optional)
               ? NGX_DECLINED
               : NGX_OK;
}

}  // namespace

std::string
entitlements_text(const Ruling& ruling) {
    std::string text;
    for (const std::string& name : ruling.entitlements) {
        if (!text.empty()) {
            text += ',';
        }
        text += name;
    }
    return text;
}

const Response*
response_decided(const Gate* gate) {
    const auto* response = gate == nullptr ? nullptr : gate->find<Response>();
    return response != nullptr && response->decided ? response : nullptr;
}

// A variable that was asked for meanwhile may have looked anew who it is.
Known
known_of(const Gate* gate) {
    const Response* response = response_decided(gate);
    if (response == nullptr) {
        return {};
    }
    if (response->passage) {
        return {&response->passage->user, response->passage->version,
                CacheUse::hit};
    }
    const auto* order = gate->find<Order>();
    if (order == nullptr || !order->identity().user) {
        return {};
    }
    const User* user = &*order->identity().user;
    if (order->known()) {
        return {user, order->record().standing.version, order->record().use};
    }
    return response->found.decision == Decision::allow_unverified
               ? Known{user, {}, {}}
               : Known{};
}

ngx_int_t
respond(ngx_http_request_t* r, std::shared_ptr<const Passage> passage) {
    Gate* gate = gate_make(r);
    if (gate == nullptr) {
        return NGX_ERROR;
    }
    auto& response = gate->part<Response>();
    response.passage = std::move(passage);
    response.metered.reset();
    response.decided = true;
    return set_request_headers(r, gate) == NGX_OK ? let_in(r, gate) : NGX_ERROR;
}

ngx_int_t
respond(ngx_http_request_t* r, Gate* gate, Ruling ruling) {
    const Decision decision = ruling.decision;
    if (decide_by(r, gate, std::move(ruling)) != NGX_OK) {
        return NGX_ERROR;
    }
    if (location_conf(r)->gate == static_cast<ngx_uint_t>(GateMode::optional)) {
        return let_in(r, gate);
    }
    switch (decision) {
        case Decision::allow:
        case Decision::allow_stale:
        case Decision::allow_unverified:
            return let_in(r, gate);
        case Decision::pay:
            if (polled(r)) {
                return NGX_OK;  // waits there
            }
            break;
        case Decision::login:
        case Decision::error:
            break;
    }
    count_decided(r, *gate->find<Response>());
    return refuse_or_let_by(r, gate);
}

ngx_int_t
respond_metered(ngx_http_request_t* r, Gate* gate) {
    return let_in(r, gate);
}

ngx_int_t
respond_trouble(ngx_http_request_t* r, Gate* gate) {
    const Reason why = gate->part<Order>().trouble();
    return decide_by(r, gate, cannot_tell(why)) == NGX_OK ? refuse(r, gate)
                                                          : NGX_ERROR;
}

}  // namespace entitle::ngx
