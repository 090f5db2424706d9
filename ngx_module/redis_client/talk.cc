#include "ngx_module/redis_client/talk.h"

#include "ngx_module/edge.h"

namespace entitle::ngx {

RedisTalk::RedisTalk(const MainConf* conf, Ended ended, void* data)
    : conf_(conf), ended_(ended), data_(data) {
    hold_.acquired = on_acquired;
    hold_.data = this;
    exchange_.done = on_replies;
    exchange_.data = this;
    pause_.handler = on_pause_over;
    pause_.data = this;
    pause_.log = ngx_cycle->log;
}

void
RedisTalk::advance() {
    const Step* step = next_(talk_);
    if (step == nullptr) {
        end(RedisStatus::ok, nullptr);
    } else if (step->pause.count() > 0) {
        ngx_add_timer(&pause_, static_cast<ngx_msec_t>(step->pause.count()));
    } else {
        send_step();
    }
}

void
RedisTalk::send_step() {
    exchange_.key = next_(talk_)->key;
    exchange_.commands = next_(talk_)->commands;
    exchange_.more_time =
        static_cast<ngx_msec_t>(next_(talk_)->more_time.count());
    exchange_.replies.clear();
    if (redis_hold_send(&hold_, &exchange_) != NGX_OK) {
        end(RedisStatus::unavailable, nullptr);
    }
}

void
RedisTalk::end(RedisStatus status, const std::exception* thrown) noexcept {
    stop();
    ended_(data_, status, thrown);
}

void
RedisTalk::stop() noexcept {
    if (pause_.timer_set) {
        ngx_del_timer(&pause_);
    }
    redis_cancel(&exchange_);
    redis_release(&hold_);
}

// --- from the event loop -----------------------------------------------------

// After `f` this may be gone.
template <class F>
void
RedisTalk::from_event(RedisStatus status, F f) noexcept {
    if (status != RedisStatus::ok) {
        end(status, nullptr);
        return;
    }
    edge::guard(f, [this](const std::exception& error) noexcept {
        end(RedisStatus::unavailable, &error);
    });
}

void
RedisTalk::on_acquired(RedisHold* hold, RedisStatus status) noexcept {
    auto* self = static_cast<RedisTalk*>(hold->data);
    self->from_event(status, [=] { self->advance(); });
}

void
RedisTalk::on_replies(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* self = static_cast<RedisTalk*>(exchange->data);
    self->from_event(status, [=] {
        self->resume_(self->talk_, std::exchange(exchange->replies, {}));
        self->advance();
    });
}

void
RedisTalk::on_pause_over(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisTalk*>(event->data);
    self->from_event(RedisStatus::ok, [=] { self->send_step(); });
}

// --- for those who make conversations ----------------------------------------

std::string_view
word(RedisStatus status) {
    return status == RedisStatus::timed_out ? "redis did not answer in time"
                                            : "redis is unreachable";
}

std::chrono::sys_time<std::chrono::milliseconds>
wall_clock() {
    const ngx_time_t* time = ngx_timeofday();
    return std::chrono::sys_time<std::chrono::milliseconds>{
        std::chrono::milliseconds{static_cast<std::int64_t>(time->sec) * 1000 +
                                  static_cast<std::int64_t>(time->msec)}};
}

}  // namespace entitle::ngx
