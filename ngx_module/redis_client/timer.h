// A timer of the Redis client and the cache. What its handler throws (no
// memory) is logged, and it comes again in a second: nothing that is looked
// after by a timer is forgotten. It does not keep a worker that was told to
// quit, unless told so.
#pragma once

#include "core/base/monotonic.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

// Of nginx's own times.
constexpr Milliseconds
milliseconds(ngx_msec_t time) {
    return Milliseconds{static_cast<std::int64_t>(time)};
}

class RedisTimer {
  public:
    using Fire = void (*)(void* data);
    static constexpr Milliseconds kAgain{1000};  // after what was thrown

    RedisTimer(Fire fire, void* data) noexcept;
    ~RedisTimer() {
        stop();
    }
    RedisTimer(const RedisTimer&) = delete;
    RedisTimer& operator=(const RedisTimer&) = delete;

    bool
    is_set() const noexcept {
        return event_.timer_set;
    }
    // Only while it is set.
    Milliseconds left() const noexcept;
    // Anew, where it was set.
    void start(Milliseconds time) noexcept;
    void stop() noexcept;
    void
    keep_worker(bool keep) noexcept {
        event_.cancelable = !keep;
    }

  private:
    static void on_timer(ngx_event_t* event) noexcept;

    ngx_event_t event_{};
    Fire fire_;
    void* data_;
};

}  // namespace entitle::ngx
