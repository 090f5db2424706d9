#include "ngx_module/redis_client/timer.h"

#include "ngx_module/edge.h"

namespace entitle::ngx {

RedisTimer::RedisTimer(Fire fire, void* data) noexcept
    : fire_(fire), data_(data) {
    event_.handler = on_timer;
    event_.data = this;
    event_.log = ngx_cycle->log;
    event_.cancelable = 1;
}

// nginx leaves a timer that is set where it is if the new time is near.
void
RedisTimer::start(Milliseconds time) noexcept {
    stop();
    ngx_add_timer(&event_, static_cast<ngx_msec_t>(time.count()));
}

void
RedisTimer::stop() noexcept {
    if (event_.timer_set) {
        ngx_del_timer(&event_);
    }
}

Milliseconds
RedisTimer::left() const noexcept {
    return Milliseconds{
        static_cast<ngx_msec_int_t>(event_.timer.key - ngx_current_msec)};
}

void
RedisTimer::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisTimer*>(event->data);
    edge::event(
        "redis client", [=] { self->fire_(self->data_); },
        [=]() noexcept { self->start(kAgain); });
}

}  // namespace entitle::ngx
