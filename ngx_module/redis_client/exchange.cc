#include "ngx_module/redis_client/exchange.h"

#include "ngx_module/redis_client/connection.h"

namespace entitle::ngx {

// --- deadlines ---------------------------------------------------------------

void
RedisDeadline::arm(ngx_msec_t time, void (*late)(void* data) noexcept,
                   void* data) noexcept {
    disarm();
    late_ = late;
    data_ = data;
    looked_ = false;
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = ngx_cycle->log;
    ngx_add_timer(&timer_, time);
}

void
RedisDeadline::disarm() noexcept {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
}

// A worker that was held up itself looks at its sockets first.
void
RedisDeadline::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisDeadline*>(event->data);
    if (!std::exchange(self->looked_, true)) {
        ngx_add_timer(event, 1);
        return;
    }
    self->late_(self->data_);
}

ngx_msec_t
exchange_time(const MainConf& conf) {
    const ngx_msec_t once = conf.redis_connect_timeout + 2 * conf.redis_timeout;
    return 2 * once;
}

// --- exchanges ---------------------------------------------------------------

RedisExchange::~RedisExchange() {
    redis_cancel(this);
}

PendingExchange::~PendingExchange() {
    RedisExchange* left = let_go();
    if (left == nullptr) {
        return;
    }
    left->deadline.arm(
        1,
        [](void* data) noexcept {
            auto* lost = static_cast<RedisExchange*>(data);
            lost->done(lost, RedisStatus::unavailable);
        },
        left);
}

RedisExchange*
PendingExchange::let_go() noexcept {
    RedisExchange* left = std::exchange(exchange, nullptr);
    if (left != nullptr) {
        left->pending = nullptr;
        left->deadline.disarm();
    }
    return left;
}

void
PendingExchange::hand_over(PendingExchange& other) noexcept {
    other.exchange = std::exchange(exchange, nullptr);
    if (other.exchange != nullptr) {
        other.exchange->pending = &other;
        other.more_time = more_time;
    }
}

Pending
make_pending(std::span<const Command> commands) {
    auto pending = std::make_unique<PendingExchange>();
    for (const Command& command : commands) {
        append_command(pending->bytes, command);
    }
    pending->expected = commands.size();
    return pending;
}

Pending
make_pending(const MainConf& conf, RedisExchange* exchange,
             std::span<const Command> commands) {
    Pending pending = make_pending(commands);
    redis_cancel(exchange);
    pending->exchange = exchange;
    pending->more_time = exchange->more_time;
    exchange->pending = pending.get();
    exchange->deadline.arm(
        exchange_time(conf) + exchange->more_time,
        [](void* data) noexcept {
            auto* late = static_cast<RedisExchange*>(data);
            redis_cancel(late);
            late->done(late, RedisStatus::timed_out);
        },
        exchange);
    return pending;
}

void
deliver(Pending pending) noexcept {
    RedisExchange* exchange = pending->let_go();
    if (exchange != nullptr) {
        exchange->replies = std::move(pending->replies);
        exchange->done(exchange, pending->status);
    }
}

void
redis_cancel(RedisExchange* exchange) noexcept {
    if (exchange->pending != nullptr) {
        static_cast<PendingExchange*>(exchange->pending)->let_go();
    }
    exchange->deadline.disarm();
}

// --- holds -------------------------------------------------------------------

RedisHold::~RedisHold() {
    redis_release(this);
}

}  // namespace entitle::ngx
