#include "ngx_module/redis_client/talk.h"

#include "core/redis/exec_reply.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {

RedisTalkBase::RedisTalkBase(const MainConf* conf, Wake wake, void* data)
    : conf_(conf), wake_(wake), data_(data) {
    hold_.acquired = on_acquired;
    hold_.data = this;
    exchange_.done = on_replies;
    exchange_.data = this;
}

std::string_view
RedisTalkBase::error() const {
    switch (state_) {
        case State::unreachable:
            return "redis is unreachable";
        case State::late:
            return "redis did not answer in time";
        case State::broken:
            return "no memory";
        default:
            return {};
    }
}

void
RedisTalkBase::begin(ngx_msec_t patience) {
    const Step* first = next();
    hold_.key = first == nullptr ? std::string() : first->key;
    state_ = State::talking;
    if (redis_acquire(conf_, &hold_) != NGX_OK) {
        state_ = State::unreachable;
    } else if (patience != 0) {
        patience_.arm(patience, on_late, this);
    }
}

void
RedisTalkBase::advance() {
    const Step* step = next();
    if (step == nullptr) {
        check();
        end(State::ok);
    } else if (step->pause.count() > 0) {
        pause_.arm(static_cast<ngx_msec_t>(step->pause.count()), on_pause_over,
                   this);
    } else {
        send_step();
    }
}

void
RedisTalkBase::send_step() {
    Step* step = next();
    exchange_.key = step->key;
    exchange_.commands = std::move(step->commands);  // back when replied to
    exchange_.more_time = static_cast<ngx_msec_t>(step->more_time.count());
    exchange_.replies.clear();
    if (redis_hold_send(&hold_, &exchange_) != NGX_OK) {
        end(State::unreachable);
    }
}

void
RedisTalkBase::end(State how) noexcept {
    stop();
    state_ = how;
    wake_(data_);
}

void
RedisTalkBase::stop() noexcept {
    patience_.disarm();
    pause_.disarm();
    redis_cancel(&exchange_);
    redis_release(&hold_);
    state_ = State::idle;
}

// --- from the event loop -----------------------------------------------------

// After `f` this may be gone.
template <class F>
void
RedisTalkBase::from_event(RedisStatus status, F f) noexcept {
    if (status != RedisStatus::ok) {
        end(status == RedisStatus::timed_out ? State::late
                                             : State::unreachable);
        return;
    }
    edge::event("redis conversation", f,
                [this]() noexcept { end(State::broken); });
}

void
RedisTalkBase::on_acquired(RedisHold* hold, RedisStatus status) noexcept {
    auto* self = static_cast<RedisTalkBase*>(hold->data);
    self->from_event(status, [=] { self->advance(); });
}

void
RedisTalkBase::on_replies(RedisExchange* exchange,
                          RedisStatus status) noexcept {
    auto* self = static_cast<RedisTalkBase*>(exchange->data);
    self->from_event(status, [=] {
        if (leaves_doubt(exchange->commands, exchange->replies)) {
            redis_distrust(&self->hold_);
        }
        self->next()->commands = std::move(exchange->commands);
        self->resume(std::exchange(exchange->replies, {}));
        self->advance();
    });
}

void
RedisTalkBase::on_pause_over(void* data) noexcept {
    auto* self = static_cast<RedisTalkBase*>(data);
    self->from_event(RedisStatus::ok, [=] { self->send_step(); });
}

void
RedisTalkBase::on_late(void* data) noexcept {
    static_cast<RedisTalkBase*>(data)->end(State::late);
}

// --- for those who make conversations ----------------------------------------

ReplicaWait
replica_wait(const MainConf* conf) {
    return {.replicas = static_cast<int>(conf->replica_wait),
            .time = std::chrono::milliseconds{
                static_cast<std::int64_t>(conf->replica_wait_time)}};
}

std::chrono::sys_time<std::chrono::milliseconds>
wall_clock() {
    const ngx_time_t* time = ngx_timeofday();
    return std::chrono::sys_time<std::chrono::milliseconds>{
        std::chrono::milliseconds{static_cast<std::int64_t>(time->sec) * 1000 +
                                  static_cast<std::int64_t>(time->msec)}};
}

}  // namespace entitle::ngx
