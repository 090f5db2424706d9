#include "ngx_module/ngx_http_entitle_redis.h"

#include <algorithm>

namespace entitle::ngx {
namespace {

constexpr std::size_t kPoolSize = 16;
constexpr std::size_t kMaxWaiters = 4096;
constexpr std::size_t kMaxOutstanding = 16384;
constexpr ngx_msec_t kAcquireTimeout = 2000;

// One failure opens it: a command that was late has already cost somebody a
// whole time-out, and the probe is back within a tenth of a second.
const BreakerPolicy kBreaker{
    .failures = 1,
    .backoff = {.first = Milliseconds{100}, .most = Milliseconds{1000}},
    .probe_timeout = Milliseconds{10000},
};

MonoTime
mono_now() {
    return mono_time(static_cast<std::int64_t>(ngx_current_msec));
}

std::uint64_t
random_bits() {
    return (static_cast<std::uint64_t>(ngx_random()) << 31) ^
           static_cast<std::uint64_t>(ngx_random());
}

Pending
make_pending(RedisExchange* exchange, std::span<const Command> commands) {
    auto pending = std::make_unique<PendingExchange>();
    for (const Command& command : commands) {
        append_command(pending->bytes, command);
    }
    pending->expected = commands.size();
    pending->exchange = exchange;
    if (exchange != nullptr) {
        exchange->pending = pending.get();
    }
    return pending;
}

void
post(ngx_event_t& event) {
    ngx_post_event(&event, &ngx_posted_events);
}

void
forget(ngx_event_t& event) {
    if (event.timer_set) {
        ngx_del_timer(&event);
    }
    if (event.posted) {
        ngx_delete_posted_event(&event);
    }
}

}  // namespace

Redis::Redis(const MainConf* conf)
    : conf_(conf), breaker_(kBreaker), shared_(conf, this) {
    turn_.handler = on_turn;
    probe_.handler = on_probe;
    probe_.cancelable = 1;
    waiters_timer_.handler = on_waiters;
    for (ngx_event_t* event : {&turn_, &probe_, &waiters_timer_}) {
        event->data = this;
        event->log = ngx_cycle->log;
    }
}

// --- the shared connection ---------------------------------------------------

ngx_int_t
Redis::send(RedisExchange* exchange) {
    if (!up() || shared_.outstanding() >= kMaxOutstanding) {
        return NGX_ERROR;
    }
    shared_.send(make_pending(exchange, exchange->commands));
    if (shared_.is_closed()) {
        open(shared_);
    }
    return NGX_OK;
}

bool
Redis::open(RedisConnection& connection) {
    bool quiet = !up();
    std::optional<Breaker::Ticket> ticket = breaker_.pass(mono_now());
    if (!ticket) {
        return false;
    }
    connection.open(*ticket, quiet);
    return true;
}

// --- what the connections report ---------------------------------------------

void
Redis::connected(RedisConnection* connection) {
    bool was_down = !up();
    breaker_.succeeded(connection->ticket());
    if (was_down && up()) {
        forget(probe_);
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis \"%V\" is reachable again", &conf_->redis);
    }
    serve_waiters();
}

void
Redis::completed(Pending pending) {
    finished_.push_back(std::move(pending));
    post(turn_);
}

void
Redis::closed(RedisConnection* connection, std::deque<Pending> unanswered,
              RedisStatus status, bool failed, std::string_view why) {
    if (failed) {
        bool was_up = up();
        breaker_.failed(connection->ticket(), mono_now(), random_bits());
        if (was_up && !up()) {
            went_down(why);
        } else if (!up()) {
            probe_soon();
        }
    }
    if (connection == &shared_) {
        queue_again(std::move(unanswered), status);
    } else {
        for (Pending& pending : unanswered) {
            fail(std::move(pending), status);
        }
        for (auto& pooled : pool_) {
            pooled->broken |= &pooled->connection == connection;
        }
    }
    post(turn_);
}

// A connection that was merely lost (Redis restarted, or closes idle clients)
// is no news for a reader: once more, on a new one.
void
Redis::queue_again(std::deque<Pending> unanswered, RedisStatus status) {
    for (Pending& pending : unanswered) {
        if (!up() || pending->repeated || pending->exchange == nullptr) {
            fail(std::move(pending), status);
            continue;
        }
        pending->repeated = true;
        pending->replies.clear();
        shared_.send(std::move(pending));
    }
}

void
Redis::open_what_is_needed() {
    if (up() && shared_.is_closed() && shared_.outstanding() != 0) {
        open(shared_);
    }
    if (up()) {
        open_for_waiters();
    }
}

// What is connected may be connected to a server that is hung: nobody is sent
// there again. Leased connections find out for themselves.
void
Redis::went_down(std::string_view why) {
    ngx_str_t reason = str(why);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "redis \"%V\" is unreachable: %V", &conf_->redis, &reason);
    for (auto& pooled : pool_) {
        if (pooled->lease == nullptr) {
            pooled->connection.shut();
        }
    }
    fail_waiters(RedisStatus::unavailable);
    probe_soon();
}

void
Redis::probe_soon() {
    Milliseconds wait = breaker_.wait(mono_now()) + Milliseconds{1};
    ngx_add_timer(&probe_, static_cast<ngx_msec_t>(wait.count()));
}

void
Redis::fail(Pending pending, RedisStatus status) {
    pending->status = status;
    pending->replies.clear();
    completed(std::move(pending));
}

void
Redis::on_probe(ngx_event_t* event) noexcept {
    auto* self = static_cast<Redis*>(event->data);
    if (ngx_exiting || ngx_quit || ngx_terminate) {
        return;
    }
    try {
        // What it still owes is answered or late soon; nothing is added.
        if (self->shared_.outstanding() == 0) {
            self->shared_.shut();
            self->open(self->shared_);
        }
        if (self->shared_.is_closed() || self->shared_.outstanding() != 0) {
            self->probe_soon();
        }
    } catch (const std::exception&) {
        ngx_add_timer(event, 1000);
    }
}

// --- exclusive connections ---------------------------------------------------

ngx_int_t
Redis::acquire(RedisLease* lease) {
    if (!up() || waiters_.size() >= kMaxWaiters) {
        return NGX_ERROR;
    }
    lease->client = this;
    lease->connection = nullptr;
    waiters_.push_back({lease, ngx_current_msec + kAcquireTimeout});
    serve_waiters();
    open_for_waiters();
    arm_waiters();
    return NGX_OK;
}

void
Redis::serve_waiters() {
    for (auto& pooled : pool_) {
        if (waiters_.empty()) {
            break;
        }
        if (pooled->lease == nullptr && pooled->connection.is_ready()) {
            RedisLease* lease = waiters_.front().lease;
            waiters_.pop_front();
            grant(*pooled, lease);
        }
    }
    arm_waiters();
}

void
Redis::open_for_waiters() {
    std::size_t coming = 0;
    for (auto& pooled : pool_) {
        coming += pooled->lease == nullptr && !pooled->connection.is_closed();
    }
    for (std::size_t i = 0; coming < waiters_.size() && i < kPoolSize; i++) {
        if (i == pool_.size()) {
            pool_.push_back(
                std::make_unique<Pooled>(conf_, static_cast<Owner*>(this)));
        }
        Pooled& pooled = *pool_[i];
        if (pooled.lease != nullptr || !pooled.connection.is_closed()) {
            continue;
        }
        if (!open(pooled.connection)) {
            return;
        }
        coming++;
    }
}

void
Redis::grant(Pooled& pooled, RedisLease* lease) {
    pooled.lease = lease;
    pooled.broken = false;
    pooled.connection.set_held(true);
    lease->connection = &pooled;
    notify(lease, RedisStatus::ok);
}

void
Redis::notify(RedisLease* lease, RedisStatus status) {
    notices_.push_back({lease, status});
    post(turn_);
}

ngx_int_t
Redis::lease_send(RedisLease* lease, RedisExchange* exchange) {
    auto* pooled = static_cast<Pooled*>(lease->connection);
    if (pooled == nullptr || pooled->broken) {
        return NGX_ERROR;
    }
    pooled->connection.send(make_pending(exchange, exchange->commands));
    return NGX_OK;
}

void
Redis::release(RedisLease* lease, bool watching) {
    auto is_ours = [lease](const auto& entry) { return entry.lease == lease; };
    std::erase_if(waiters_, is_ours);
    std::erase_if(notices_, is_ours);

    auto* pooled = static_cast<Pooled*>(lease->connection);
    lease->connection = nullptr;
    lease->client = nullptr;
    if (pooled == nullptr) {
        arm_waiters();
        return;
    }

    RedisConnection& connection = pooled->connection;
    pooled->lease = nullptr;
    if (connection.outstanding() != 0 || !up()) {
        connection.shut();
    } else if (watching && connection.is_ready()) {
        const Command unwatch{"UNWATCH"};
        connection.send(make_pending(nullptr, {&unwatch, 1}));
    }
    connection.set_held(false);
    if (up()) {
        serve_waiters();
        open_for_waiters();
    }
}

void
Redis::fail_waiters(RedisStatus status) {
    for (const Waiter& waiter : waiters_) {
        notify(waiter.lease, status);
    }
    waiters_.clear();
    arm_waiters();
}

// All wait equally long, so the first in line is the first to give up.
void
Redis::arm_waiters() {
    waiters_timer_.cancelable = waiters_.empty();
    if (waiters_.empty() || waiters_timer_.timer_set) {
        return;
    }
    auto wait = static_cast<ngx_msec_int_t>(waiters_.front().deadline -
                                            ngx_current_msec);
    ngx_add_timer(&waiters_timer_,
                  static_cast<ngx_msec_t>(std::max<ngx_msec_int_t>(wait, 1)));
}

void
Redis::on_waiters(ngx_event_t* event) noexcept {
    auto* self = static_cast<Redis*>(event->data);
    try {
        while (!self->waiters_.empty() &&
               static_cast<ngx_msec_int_t>(self->waiters_.front().deadline -
                                           ngx_current_msec) <= 0) {
            self->notify(self->waiters_.front().lease, RedisStatus::timed_out);
            self->waiters_.pop_front();
        }
        self->arm_waiters();
    } catch (const std::exception&) {
        ngx_add_timer(event, 100);
    }
}

// --- calling back ------------------------------------------------------------

void
Redis::on_turn(ngx_event_t* event) noexcept {
    auto* self = static_cast<Redis*>(event->data);
    try {
        self->open_what_is_needed();
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "redis client: %s",
                      error.what());
    }
    self->call_back();
}

void
Redis::call_back() {
    while (!finished_.empty() || !notices_.empty()) {
        if (!finished_.empty()) {
            Pending pending = std::move(finished_.front());
            finished_.pop_front();
            RedisExchange* exchange = pending->exchange;
            if (exchange != nullptr) {
                pending->exchange = nullptr;
                exchange->pending = nullptr;
                exchange->replies = std::move(pending->replies);
                exchange->done(exchange, pending->status);
            }
        }
        if (!notices_.empty()) {
            Notice notice = notices_.front();
            notices_.pop_front();
            if (notice.status != RedisStatus::ok) {
                notice.lease->client = nullptr;
            }
            notice.lease->acquired(notice.lease, notice.status);
        }
    }
}

void
Redis::shut() {
    for (ngx_event_t* event : {&turn_, &probe_, &waiters_timer_}) {
        forget(*event);
    }
    shared_.shut();
    for (auto& pooled : pool_) {
        pooled->connection.shut();
    }
    finished_.clear();
    notices_.clear();
    waiters_.clear();
}

// --- the interface -----------------------------------------------------------

namespace {

// Made at first use, in the worker: no socket is ever opened in the master or
// in a process that only keeps the cache.
Redis*
redis_of(MainConf* conf) {
    if (conf->worker_redis == nullptr) {
        conf->worker_redis = pool_new<Redis>(ngx_cycle->pool, conf);
    }
    return conf->worker_redis;
}

template <class F>
ngx_int_t
at_the_edge(F f) noexcept {
    try {
        return f();
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "redis client: %s",
                      error.what());
        return NGX_ERROR;
    }
}

}  // namespace

ngx_int_t
redis_send(MainConf* conf, RedisExchange* exchange) noexcept {
    return at_the_edge([=]() -> ngx_int_t {
        Redis* redis = redis_of(conf);
        return redis == nullptr ? NGX_ERROR : redis->send(exchange);
    });
}

void
redis_cancel(RedisExchange* exchange) noexcept {
    auto* pending = static_cast<PendingExchange*>(exchange->pending);
    if (pending != nullptr) {
        pending->exchange = nullptr;
        exchange->pending = nullptr;
    }
}

ngx_int_t
redis_acquire(MainConf* conf, RedisLease* lease) noexcept {
    return at_the_edge([=]() -> ngx_int_t {
        Redis* redis = redis_of(conf);
        return redis == nullptr ? NGX_ERROR : redis->acquire(lease);
    });
}

ngx_int_t
redis_lease_send(RedisLease* lease, RedisExchange* exchange) noexcept {
    return at_the_edge([=]() -> ngx_int_t {
        auto* redis = static_cast<Redis*>(lease->client);
        return redis == nullptr ? NGX_ERROR
                                : redis->lease_send(lease, exchange);
    });
}

void
redis_release(RedisLease* lease, bool watching) noexcept {
    at_the_edge([=]() -> ngx_int_t {
        if (auto* redis = static_cast<Redis*>(lease->client)) {
            redis->release(lease, watching);
        }
        return NGX_OK;
    });
}

void
redis_exit(MainConf* conf) noexcept {
    if (conf->worker_redis != nullptr) {
        conf->worker_redis->shut();
    }
}

}  // namespace entitle::ngx
