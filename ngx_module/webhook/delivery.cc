// Storing an event's facts: the core's conversation, driven over a Redis
// connection of its own. Redis being away for a moment is waited out within
// the request; then Stripe is asked to come again.

#include "core/delivery/likely_owners.h"
#include "core/redis/node_rules.h"
#include "ngx_module/gate/hand_over.h"
#include "ngx_module/http/client.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/webhook/spaces.h"
#include "ngx_module/webhook/webhook.h"

namespace entitle::ngx {
namespace {

constexpr ngx_msec_t kPatience = 3000;
constexpr BackoffPolicy kBackoff{.first = Milliseconds{100},
                                 .most = Milliseconds{800}};
// Redis is tried again while an event waits, so that what is over by then is
// not left to Stripe's next try, an hour away.
static_assert(PoolPolicy{}.refused.most < Milliseconds{kPatience});
static_assert(NodePolicy{}.breaker.backoff.most < Milliseconds{kPatience});

std::string
joined(const std::vector<Identifier>& identifiers) {
    std::string text;
    for (const Identifier& identifier : identifiers) {
        text += text.empty() ? "" : " ";
        text += identifier.str();
    }
    return text;
}

// What a purchase that opens nothing does carry.
std::string
unmatched(const DeliveryResult& result, const Facts& facts, const char* asked) {
    if (result.unmatched.empty()) {
        return std::string(
                   "it carries nothing that an \"entitle_grant\" could "
                   "name") +
               asked;
    }
    std::string text = "no \"entitle_grant\" names " + joined(result.unmatched);
    if (facts.lacks_lookup_keys) {
        text += ", invoices carry no lookup keys: grant by price or product";
    }
    return text;
}

// What is paid and comes to nothing yet.
std::string
awaiting(const DeliveryResult& result) {
    const std::string missing = "no \"" + std::string(result.awaits) + "\"";
    return result.awaits == kAwaitsSubscription
               ? "it is paid, and " + missing +
                     " nor paid invoice has told of its subscription yet"
               : "it is paid, and " + missing +
                     " has said that the subscription runs again";
}

// One line for people: whose it was and what changed.
std::string
describe(const DeliveryResult& result, const Facts& facts, const char* asked) {
    std::string line;
    if (result.user) {
        line += "user \"" + result.user->str() + "\"";
    }
    if (!facts.customer.empty()) {
        line += line.empty() ? "" : ", ";
        line += "customer \"" + facts.customer + "\"";
    }
    if (result.before != result.after) {
        line += ", had [" + joined(result.before) + "], has [" +
                joined(result.after) + "]";
    }
    if (!result.awaits.empty()) {
        line += (line.empty() ? "" : ", ") + awaiting(result);
    }
    if (result.opens_nothing && result.awaits != kAwaitsUpdate &&
        (!result.unclear || !result.unmatched.empty())) {
        line += (line.empty() ? "" : ", ") + unmatched(result, facts, asked);
    }
    if (!result.beside.empty()) {
        line += (line.empty() ? "" : ", ") +
                std::string(
                    "with it was bought what no \"entitle_grant\" "
                    "names: ") +
                joined(result.beside);
    }
    if (result.waved_through) {
        line += result.user ? ", opens nothing and is ignored"
                            : ", nobody's, and ignored";
    }
    if (result.outcome == Outcome::parked) {
        line += result.error.empty() || result.list_failed
                    ? ", nobody is named yet: see \"entitle_user_from\""
                    : ", waits until its owner's record takes it";
    }
    if (!result.unknown_payment.empty()) {
        line += (line.empty() ? "" : ", ") +
                std::string("nothing is known to be paid by \"") +
                result.unknown_payment +
                "\", so nothing is taken away: of an invoice's payment only "
                "\"invoice_payment.paid\" tells, select it at Stripe";
    }
    if (result.by_older_email) {
        line += (line.empty() ? "" : ", ") + std::string("what user \"") +
                result.by_older_email->str() +
                "\" claimed by its old e-mail stays theirs until somebody "
                "comes with the new one";
    }
    if (result.owner_changed) {
        line += ", claims conflict: what it bought was moved";
    }
    if (result.ambiguous) {
        line += ", order within one second unknown: the least was taken";
    }
    if (!facts.note.empty()) {
        line += (line.empty() ? "" : ", ") + facts.note;
    }
    if (!result.error.empty()) {
        line += (line.empty() ? "" : ", ") + result.error;
    }
    return line;
}

ngx_uint_t
log_level(const DeliveryResult& result, const Facts& facts) {
    if (!result.error.empty()) {
        return NGX_LOG_ERR;  // something is damaged, whatever the outcome
    }
    switch (result.outcome) {
        case Outcome::applied:
        case Outcome::duplicate:
        case Outcome::superseded:
        case Outcome::ignored:
            return result.owner_changed || result.by_older_email ||
                           !result.unknown_payment.empty() || facts.warns
                       ? NGX_LOG_WARN
                       : NGX_LOG_INFO;
        case Outcome::parked:
        case Outcome::unmatched:
            return NGX_LOG_WARN;
        case Outcome::mode_mismatch:
        case Outcome::account_not_allowed:
        case Outcome::not_stored:
            break;
    }
    return NGX_LOG_ERR;
}

}  // namespace

Webhook::Webhook(ngx_http_request_t* r)
    : request_(r),
      stripe_(StripeQuestion::kMostBytes, on_told, this),
      looking_(main_conf(r), on_looked, this),
      talk_(main_conf(r), on_done, this),
      backoff_(kBackoff) {
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = r->connection->log;
}

void
Webhook::store() {
    // From here on nobody reads from the client: only its going away counts.
    request_->read_event_handler = while_waiting(request_);
    request_->write_event_handler = ngx_http_request_empty_handler;
    give_up_ = ngx_current_msec + kPatience;
    attempt();
}

DeliveryOptions
Webhook::options() const {
    const MainConf* main = main_conf(request_);
    return {.keys = *location_conf(request_)->webhook_keys,
            .policy = *server_conf(request_)->policy,
            .grants = &shared_grants(request_),
            .now = wall_clock(),
            .jitter_seed = random_bits(),
            .wait = replica_wait(main),
            .touch_duplicates = main->replica_wait > 0,
            .one_server = redis_has_one_server(main),
            .likely = &main->worker->part<LikelyOwners>()};
}

void
Webhook::attempt() {
    talk_.start(deliver(facts_, head_, options()));
    if (talk_.done()) {
        attempt_failed(talk_.error());
    }
}

void
Webhook::conclude(DeliveryResult result) {
    if (result.outcome == Outcome::not_stored) {
        attempt_failed(result.error);
        return;
    }
    for (const DeliveryResult::HandedOn& one : result.handed_on) {
        log_handed_over(request_->connection->log, one.browser, one.user,
                        one.sources);
    }
    respond(result.outcome, log_level(result, facts_),
            describe(result, facts_, what_was_asked()), result.unlocks,
            result.unmatched, result.awaits);
}

// The protocol is made to be started again from the beginning.
void
Webhook::attempt_failed(std::string_view why) {
    std::string reason(why);
    abandon();
    auto pause = static_cast<ngx_msec_t>(backoff_.next(random_bits()).count());
    auto left = static_cast<ngx_msec_int_t>(give_up_ - ngx_current_msec);
    if (left > static_cast<ngx_msec_int_t>(pause)) {
        ngx_add_timer(&timer_, pause);
        return;
    }
    respond(Outcome::not_stored, NGX_LOG_ERR, reason);
}

void
Webhook::abandon() noexcept {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
    talk_.stop();
    looking_.stop();
    stripe_.stop();
}

// --- from the event loop -----------------------------------------------------

void
Webhook::on_done(void* data) noexcept {
    auto* self = static_cast<Webhook*>(data);
    self->from_event([=] {
        if (self->talk_.is_broken()) {
            self->finish(NGX_HTTP_INTERNAL_SERVER_ERROR);
        } else if (!self->talk_.error().empty()) {
            self->attempt_failed(self->talk_.error());
        } else {
            // Moved out: the next attempt ends the conversation that holds it.
            self->conclude(std::move(self->talk_.result()));
        }
    });
}

void
Webhook::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<Webhook*>(event->data);
    self->from_event([=] { self->attempt(); });
}

}  // namespace entitle::ngx
