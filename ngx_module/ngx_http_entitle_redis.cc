#include "ngx_module/ngx_http_entitle_redis.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kMaxOutstanding = 16384;

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
    : conf_(conf),
      breaker_(kBreaker),
      shared_(conf, this),
      pool_(conf, this, this) {
    turn_.handler = on_turn;
    probe_.handler = on_probe;
    probe_.cancelable = 1;
    for (ngx_event_t* event : {&turn_, &probe_}) {
        event->data = this;
        event->log = ngx_cycle->log;
    }
}

// --- what callers ask for ----------------------------------------------------

ngx_int_t
Redis::send(RedisExchange* exchange) {
    return send_shared(make_pending(exchange, exchange->commands));
}

ngx_int_t
Redis::tell(const Command& command) {
    return send_shared(make_pending(nullptr, {&command, 1}));
}

ngx_int_t
Redis::send_shared(Pending pending) {
    if (!up() || shared_.outstanding() >= kMaxOutstanding) {
        return NGX_ERROR;
    }
    shared_.send(std::move(pending));
    if (shared_.is_closed()) {
        open(shared_);
    }
    return NGX_OK;
}

ngx_int_t
Redis::acquire(RedisLease* lease) {
    return up() ? pool_.acquire(lease, this) : NGX_ERROR;
}

ngx_int_t
Redis::lease_send(RedisLease* lease, RedisExchange* exchange) {
    return pool_.send(lease, make_pending(exchange, exchange->commands));
}

void
Redis::release(RedisLease* lease, bool watching) {
    pool_.release(lease, watching);
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
    if (connection == &shared_) {
        generation_++;
    }
    bool was_down = !up();
    breaker_.succeeded(connection->ticket());
    if (was_down && up()) {
        forget(probe_);
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis \"%V\" is reachable again", &conf_->redis);
    }
    pool_.connected();
}

void
Redis::completed(Pending pending) {
    finished_.push_back(std::move(pending));
    call_back_soon();
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
        generation_++;
        queue_again(std::move(unanswered), status);
    } else {
        for (Pending& pending : unanswered) {
            fail(std::move(pending), status);
        }
        pool_.closed(connection);
    }
    call_back_soon();
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
        pool_.open_for_waiters();
    }
}

void
Redis::went_down(std::string_view why) {
    ngx_str_t reason = str(why);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "redis \"%V\" is unreachable: %V", &conf_->redis, &reason);
    pool_.went_down();
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

// --- calling back ------------------------------------------------------------

void
Redis::call_back_soon() {
    ngx_post_event(&turn_, &ngx_posted_events);
}

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
    do {
        while (!finished_.empty()) {
            Pending pending = std::move(finished_.front());
            finished_.pop_front();
            RedisExchange* exchange = std::exchange(pending->exchange, nullptr);
            if (exchange != nullptr) {
                exchange->pending = nullptr;
                exchange->replies = std::move(pending->replies);
                exchange->done(exchange, pending->status);
            }
        }
    } while (pool_.call_back_one());
}

void
Redis::shut() {
    forget(turn_);
    forget(probe_);
    shared_.shut();
    pool_.shut();
    finished_.clear();
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

void
redis_tell(MainConf* conf, const Command& command) noexcept {
    at_the_edge([&]() -> ngx_int_t {
        Redis* redis = redis_of(conf);
        return redis == nullptr ? NGX_ERROR : redis->tell(command);
    });
}

std::uint64_t
redis_generation(const MainConf* conf) noexcept {
    return conf->worker_redis == nullptr ? 0 : conf->worker_redis->generation();
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
