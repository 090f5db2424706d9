#include "ngx_module/redis_client/pool.h"

#include <algorithm>
#include <iterator>

#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kConnections = 16;
constexpr std::size_t kMaxWaiters = 4096;

ngx_msec_int_t
until(ngx_msec_t deadline) {
    return static_cast<ngx_msec_int_t>(deadline - ngx_current_msec);
}

}  // namespace

RedisPool::RedisPool(const MainConf* conf, Host* host,
                     RedisConnection::Owner* owner)
    : conf_(conf), host_(host), owner_(owner) {
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = ngx_cycle->log;
    timer_.cancelable = 1;
}

ngx_int_t
RedisPool::acquire(PoolHold* hold) {
    if (waiters_.size() >= kMaxWaiters) {
        return NGX_ERROR;
    }
    waiters_.push_back({hold, ngx_current_msec + kPatience});
    hold->connection = nullptr;
    serve();
    open_for_waiters();
    return NGX_OK;
}

ngx_int_t
RedisPool::send(PoolHold* hold, Pending pending) {
    auto* pooled = static_cast<Pooled*>(hold->connection);
    if (pooled == nullptr || pooled->lost) {
        return NGX_ERROR;
    }
    pooled->connection.send(std::move(pending));
    return NGX_OK;
}

void
RedisPool::release(PoolHold* hold, bool watching) noexcept {
    auto is_ours = [hold](const auto& entry) { return entry.hold == hold; };
    std::erase_if(waiters_, is_ours);
    std::erase_if(notices_, is_ours);
    arm_timer();

    auto* pooled = static_cast<Pooled*>(hold->connection);
    hold->connection = nullptr;
    if (pooled == nullptr) {
        return;
    }
    pooled->hold = nullptr;
    RedisConnection& connection = pooled->connection;
    edge::event(
        "redis client",
        [&] {
            give_back(connection, watching);
            serve();
            open_for_waiters();
        },
        [&]() noexcept {
            connection.shut();
            host_->call_back_soon();
        });
}

void
RedisPool::give_back(RedisConnection& connection, bool watching) {
    // Answers still to come belong to nobody any more, and while Redis is
    // down no connection is worth keeping.
    if (connection.outstanding() != 0 || !host_->up()) {
        connection.shut();
    } else if (watching && connection.is_ready()) {
        const Command unwatch{"UNWATCH"};
        connection.send(make_pending({&unwatch, 1}));
    }
    connection.set_held(false);
}

void
RedisPool::serve() {
    for (auto& pooled : pool_) {
        if (waiters_.empty()) {
            break;
        }
        if (pooled->hold == nullptr && pooled->connection.is_ready()) {
            PoolHold* hold = waiters_.front().hold;
            waiters_.pop_front();
            pooled->hold = hold;
            pooled->lost = false;
            pooled->connection.set_held(true);
            hold->connection = pooled.get();
            notify(hold, RedisStatus::ok);
        }
    }
    arm_timer();
}

void
RedisPool::open_for_waiters() {
    if (!host_->up()) {
        return;
    }
    std::size_t coming = 0;
    for (auto& pooled : pool_) {
        coming += pooled->hold == nullptr && !pooled->connection.is_closed();
    }
    for (std::size_t i = 0; coming < waiters_.size() && i < kConnections; i++) {
        if (i == pool_.size()) {
            pool_.push_back(std::make_unique<Pooled>(conf_, owner_));
        }
        Pooled& pooled = *pool_[i];
        if (pooled.hold != nullptr || !pooled.connection.is_closed()) {
            continue;
        }
        if (!host_->open(pooled.connection)) {
            return;
        }
        coming++;
    }
}

void
RedisPool::closed(RedisConnection* connection) {
    for (auto& pooled : pool_) {
        pooled->lost |= &pooled->connection == connection;
    }
}

// What is connected may be connected to a server that is hung: nobody is sent
// there again. Leased connections find out for themselves.
void
RedisPool::went_down() {
    for (auto& pooled : pool_) {
        if (pooled->hold == nullptr) {
            pooled->connection.shut();
        }
    }
    while (!waiters_.empty()) {
        notify(waiters_.front().hold, RedisStatus::unavailable);
        waiters_.pop_front();
    }
    arm_timer();
}

std::deque<Pending>
RedisPool::cut() {
    std::deque<Pending> unanswered;
    for (auto& pooled : pool_) {
        std::deque<Pending> queue = pooled->connection.take_queue();
        std::move(queue.begin(), queue.end(), std::back_inserter(unanswered));
        pooled->connection.shut();
        pooled->lost = true;
    }
    return unanswered;
}

void
RedisPool::notify(PoolHold* hold, RedisStatus status) {
    notices_.push_back({hold, status});
    host_->call_back_soon();
}

bool
RedisPool::call_back_one() {
    if (notices_.empty()) {
        return false;
    }
    Notice notice = notices_.front();
    notices_.pop_front();
    notice.hold->acquired(notice.hold, notice.status);
    return true;
}

// All wait equally long, so the first in line is the first to give up.
void
RedisPool::arm_timer() {
    timer_.cancelable = waiters_.empty();
    if (!waiters_.empty() && !timer_.timer_set) {
        ngx_msec_int_t wait = until(waiters_.front().deadline);
        ngx_add_timer(&timer_, static_cast<ngx_msec_t>(wait > 0 ? wait : 1));
    }
}

void
RedisPool::expire() {
    while (!waiters_.empty() && until(waiters_.front().deadline) <= 0) {
        notify(waiters_.front().hold, RedisStatus::timed_out);
        waiters_.pop_front();
    }
    arm_timer();
}

void
RedisPool::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisPool*>(event->data);
    edge::event(
        "redis client", [=] { self->expire(); },
        [=]() noexcept { ngx_add_timer(event, 100); });
}

void
RedisPool::shut() {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
    for (auto& pooled : pool_) {
        pooled->connection.shut();
    }
    waiters_.clear();
    notices_.clear();
}

}  // namespace entitle::ngx
