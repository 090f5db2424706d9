// Asking Stripe for what the event leaves out (entitle_stripe_request), before
// it is stored: through a location of this server, which has the key.
// core/stripe/asking.h says what to ask and what the answers mean.

#include <algorithm>

#include "ngx_module/http/client.h"
#include "ngx_module/seldom.h"
#include "ngx_module/webhook/spaces.h"
#include "ngx_module/webhook/webhook.h"

namespace entitle::ngx {
namespace {

// For all pages: Stripe shows a buyer the way back after 10 seconds at most.
constexpr ngx_msec_t kPatience = 6000;

bool
opens_nothing(const GrantMap& grants, const Facts& facts) {
    return std::all_of(facts.identifiers.begin(), facts.identifiers.end(),
                       [&](const Identifier& identifier) {
                           return !grants.knows(identifier);
                       });
}

// Whose objects these are, where they are not our own.
OwnRequest::Header
account_header(const EventHead& head) {
    if (head.account.is_own()) {
        return {};
    }
    if (!head.context.empty()) {
        return {"Stripe-Context", head.context};
    }
    return {"Stripe-Account", head.account.str()};
}

StripeAnswer
answer_of(const OwnRequest::Response& told) {
    using By = StripeAnswer::By;
    using Flaw = StripeAnswer::Flaw;
    StripeAnswer answer;
    answer.status = static_cast<unsigned>(told.status);
    answer.body = told.body;
    answer.by = told.by == OwnRequest::By::server  ? By::server
                : told.by == OwnRequest::By::cache ? By::cache
                                                   : By::nginx;
    answer.flaw = told.late        ? Flaw::late
                  : told.too_long  ? Flaw::too_long
                  : told.encoded   ? Flaw::encoded
                  : !told.complete ? Flaw::broke_off
                                   : Flaw::none;
    return answer;
}

}  // namespace

// False: there is nothing to ask, or nowhere.
bool
Webhook::ask_stripe() {
    if (location_conf(request_)->stripe_request.len == 0) {
        note_unasked();
        return false;
    }
    question_ = StripeQuestion::about(
        *event_, facts_, opens_nothing(shared_grants(request_), facts_));
    if (!question_) {
        return false;
    }
    request_->read_event_handler = while_waiting(request_);
    request_->write_event_handler = ngx_http_request_empty_handler;
    look_whether_ignored();
    return true;
}

// The rest of a list that says `has_more`: nobody sees it. A line of its own:
// such a list alone may fill the event's.
void
Webhook::note_unasked() {
    static Seldom seldom;
    if (StripeQuestion::about(*event_, facts_, false)) {
        seldom.say(NGX_LOG_WARN, request_->connection->log,
                   "entitle: of event \"%V\" Stripe sent only the beginning "
                   "of its list, and what is not in it was not seen: see "
                   "\"entitle_stripe_request\"",
                   &vars.event_id);
    }
}

// Of what an operator has waved through nobody needs to know what it is.
void
Webhook::look_whether_ignored() {
    looking_.start(is_ignored(options(), names_to_ignore(facts_)));
    if (looking_.done()) {
        begin_to_ask();
    }
}

// Where Redis is away that is for store() to say.
void
Webhook::begin_to_ask() {
    ask_until_ = ngx_current_msec + kPatience;
    ask();
}

void
Webhook::ask() {
    const auto left =
        static_cast<ngx_msec_int_t>(ask_until_ - ngx_current_msec);
    question_uri_ = view(location_conf(request_)->stripe_request);
    question_uri_ += question_->path();
    const ngx_str_t uri = {question_uri_.size(),
                           reinterpret_cast<u_char*>(question_uri_.data())};
    const auto* server = static_cast<ngx_http_core_srv_conf_t*>(
        ngx_http_get_module_srv_conf(request_, ngx_http_core_module));
    stripe_.start(*server, uri, "application/json",
                  Milliseconds{std::max<ngx_msec_int_t>(left, 1)},
                  account_header(head_));
}

void
Webhook::take_told() {
    switch (question_->take(answer_of(stripe_.response()))) {
        case StripeQuestion::Next::ask:
            ask();
            return;
        case StripeQuestion::Next::use:
            read_facts(&question_->list());
            break;
        case StripeQuestion::Next::refuse:
            ngx_log_error(NGX_LOG_ERR, request_->connection->log, 0,
                          "entitle: event \"%V\" is stored as it is: %s",
                          &vars.event_id, question_->why().c_str());
            if (!question_->list().pages.empty()) {
                read_facts(&question_->list());  // what it told before
            }
            break;
        case StripeQuestion::Next::retry:
            respond(Outcome::not_stored, NGX_LOG_ERR, question_->why());
            return;
    }
    store();
}

const char*
Webhook::what_was_asked() const {
    if (location_conf(request_)->stripe_request.len == 0) {
        return facts_.is_payment ? ": see \"entitle_stripe_request\"" : "";
    }
    if (!question_) {
        return "";
    }
    return question_->list().complete ? ", nor does what Stripe told"
                                      : ", and Stripe told no more";
}

void
Webhook::on_looked(void* data) noexcept {
    auto* self = static_cast<Webhook*>(data);
    self->from_event([=] {
        if (self->looking_.error().empty() && self->looking_.result()) {
            self->question_.reset();
            self->store();
        } else {
            self->begin_to_ask();
        }
    });
}

void
Webhook::on_told(void* data) noexcept {
    auto* self = static_cast<Webhook*>(data);
    self->from_event([=] { self->take_told(); });
}

}  // namespace entitle::ngx
