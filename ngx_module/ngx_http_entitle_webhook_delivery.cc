// Storing an event's facts: the core's conversation, driven over a Redis
// connection of its own. Redis being away for a moment is waited out within
// the request; then Stripe is asked to come again.

#include "ngx_module/ngx_http_entitle_webhook.h"

namespace entitle::ngx {
namespace {

constexpr ngx_msec_t kPatience = 3000;
constexpr BackoffPolicy kBackoff{.first = Milliseconds{100},
                                 .most = Milliseconds{800}};

std::uint64_t
random_bits() {
    return (static_cast<std::uint64_t>(ngx_random()) << 31) ^
           static_cast<std::uint64_t>(ngx_random());
}

std::chrono::sys_time<Milliseconds>
wall_clock() {
    ngx_time_t* now = ngx_timeofday();
    return std::chrono::sys_time<Milliseconds>{
        Milliseconds{static_cast<std::int64_t>(now->sec) * 1000 +
                     static_cast<std::int64_t>(now->msec)}};
}

std::string_view
word(RedisStatus status) {
    return status == RedisStatus::timed_out ? "redis did not answer in time"
                                            : "redis is unreachable";
}

std::string
joined(const std::vector<Identifier>& identifiers) {
    std::string text;
    for (const Identifier& identifier : identifiers) {
        text += text.empty() ? "" : " ";
        text += identifier.str();
    }
    return text;
}

// Whether the connection still watches keys after these commands.
bool
watches_after(bool watching, const std::vector<Command>& commands) {
    for (const Command& command : commands) {
        const std::string& verb = command.front();
        if (verb == "WATCH") {
            watching = true;
        } else if (verb == "EXEC" || verb == "DISCARD" || verb == "UNWATCH") {
            watching = false;
        }
    }
    return watching;
}

// One line for people: whose it was and what changed.
std::string
describe(const DeliveryResult& result, const Facts& facts) {
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
    if (!result.unmatched.empty()) {
        line += ", no \"entitle_grant\" names " + joined(result.unmatched);
    }
    if (result.outcome == Outcome::parked) {
        line += ", nobody is named yet: see \"entitle_user_from\"";
    }
    if (result.owner_changed) {
        line += ", claims conflict: what it bought was moved";
    }
    if (result.ambiguous) {
        line += ", order within one second unknown: the least was taken";
    }
    if (!result.error.empty()) {
        line += (line.empty() ? "" : ", ") + result.error;
    }
    return line;
}

ngx_uint_t
log_level(const DeliveryResult& result) {
    switch (result.outcome) {
        case Outcome::applied:
        case Outcome::duplicate:
        case Outcome::superseded:
        case Outcome::ignored:
            return result.owner_changed ? NGX_LOG_WARN : NGX_LOG_INFO;
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

Webhook::Webhook(ngx_http_request_t* r) : request_(r), backoff_(kBackoff) {
    lease_.acquired = on_acquired;
    lease_.data = this;
    exchange_.done = on_replies;
    exchange_.data = this;
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = r->connection->log;
}

void
Webhook::store() {
    // From here on nobody reads from the client: only its going away counts.
    request_->read_event_handler = ngx_http_test_reading;
    request_->write_event_handler = ngx_http_request_empty_handler;
    give_up_ = ngx_current_msec + kPatience;
    attempt();
}

void
Webhook::attempt() {
    lease_.key = location_conf(request_)->webhook_keys->place(
        facts_.places.back().place);
    if (redis_acquire(main_conf(request_), &lease_) != NGX_OK) {
        attempt_failed(word(RedisStatus::unavailable));
    }
}

void
Webhook::begin_conversation() {
    const LocationConf* location = location_conf(request_);
    const ServerConf* server = server_conf(request_);
    talk_.emplace(deliver(facts_, head_,
                          DeliveryOptions{.keys = *location->webhook_keys,
                                          .policy = *server->policy,
                                          .grants = server->grants,
                                          .now = wall_clock(),
                                          .jitter_seed = random_bits()}));
    advance();
}

void
Webhook::advance() {
    const Step* step = talk_->next();
    if (step == nullptr) {
        // Moved out: concluding ends the conversation that holds it.
        DeliveryResult result = std::move(talk_->result());
        conclude(result);
    } else if (step->pause.count() > 0) {
        wait(static_cast<ngx_msec_t>(step->pause.count()), &Webhook::send_step);
    } else {
        send_step();
    }
}

void
Webhook::send_step() {
    exchange_.key = talk_->next()->key;
    exchange_.commands = talk_->next()->commands;
    watching_ = watches_after(watching_, exchange_.commands);
    if (redis_lease_send(&lease_, &exchange_) != NGX_OK) {
        attempt_failed(word(RedisStatus::unavailable));
    }
}

void
Webhook::conclude(const DeliveryResult& result) {
    if (result.outcome == Outcome::not_stored) {
        attempt_failed(result.error);
        return;
    }
    settle(result.outcome, log_level(result), describe(result, facts_),
           result.unlocks);
}

// The protocol is made to be started again from the beginning.
void
Webhook::attempt_failed(std::string_view why) {
    std::string reason(why);
    abandon();
    auto pause = static_cast<ngx_msec_t>(backoff_.next(random_bits()).count());
    auto left = static_cast<ngx_msec_int_t>(give_up_ - ngx_current_msec);
    if (left > static_cast<ngx_msec_int_t>(pause)) {
        wait(pause, &Webhook::attempt);
        return;
    }
    settle(Outcome::not_stored, NGX_LOG_ERR, reason);
}

void
Webhook::wait(ngx_msec_t time, void (Webhook::*then)()) {
    after_timer_ = then;
    ngx_add_timer(&timer_, time);
}

void
Webhook::abandon() noexcept {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
    redis_cancel(&exchange_);
    redis_release(&lease_, watching_);
    watching_ = false;
    talk_.reset();
}

// --- from the event loop -----------------------------------------------------

template <class F>
void
Webhook::from_event(F f) noexcept {
    ngx_connection_t* c = request_->connection;
    ngx_http_set_log_request(c->log, request_);
    try {
        f();
    } catch (const std::exception& error) {
        fail(error);
    }
    ngx_http_run_posted_requests(c);
}

void
Webhook::on_acquired(RedisLease* lease, RedisStatus status) noexcept {
    auto* self = static_cast<Webhook*>(lease->data);
    self->from_event([=] {
        if (status == RedisStatus::ok) {
            self->begin_conversation();
        } else {
            self->attempt_failed(word(status));
        }
    });
}

void
Webhook::on_replies(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* self = static_cast<Webhook*>(exchange->data);
    self->from_event([=] {
        if (status == RedisStatus::ok) {
            self->talk_->resume(std::exchange(exchange->replies, {}));
            self->advance();
        } else {
            self->attempt_failed(word(status));
        }
    });
}

void
Webhook::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<Webhook*>(event->data);
    self->from_event([=] { (self->*self->after_timer_)(); });
}

}  // namespace entitle::ngx
