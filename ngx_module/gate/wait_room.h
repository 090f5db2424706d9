// A worker's list of the requests that wait, and what each keeps of it; of
// wait.cc alone.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/crypto/siphash.h"
#include "core/report/counters.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// What a request keeps of its waiting; a part of its gate. Times are
// ngx_current_msec.
struct Waiting {
    explicit Waiting(Gate* of) : gate(of) {}
    ~Waiting();  // who is still listed went away
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    // Off the list, if it is on it.
    void end(WaitEnd how) noexcept;

    Gate* gate;
    enum class State {
        not_yet,
        listed,
        over,  // a request waits once, wherever it is redirected to
    } state = State::not_yet;
    bool held = false;     // nothing but the list will wake it
    bool changed = false;  // look again
    bool failed = false;   // the newest look
    bool pulse = false;    // pulse_at has come
    bool bought = false;   // who comes from the checkout (`if=`)
    Hash128 user{};
    std::optional<Hash128> beside;  // the browser, what it buys is the user's
    std::uint64_t address = 0;      // of the client; 0: a unix socket
    ngx_msec_t since = 0;
    ngx_msec_t until = 0;
    ngx_msec_t look_at = 0;      // while changes are not heard
    ngx_msec_t pulse_at = 0;     // of an open stream; 0: none
    std::uint64_t heard_by = 0;  // changes_heard() before the newest look
};

// The worker's list.
class WaitRoom final : RecordListener {
  public:
    WaitRoom(RecordCache& cache, ngx_uint_t limit, ngx_uint_t limit_per);
    ~WaitRoom();
    WaitRoom(const WaitRoom&) = delete;
    WaitRoom& operator=(const WaitRoom&) = delete;

    // False: it is full, or of this user or address.
    bool enter(Waiting* waiting);
    void leave(Waiting* waiting) noexcept;
    std::size_t
    size() const noexcept {
        return all_.size();
    }

  private:
    // RecordListener
    void changed(const Hash128& user) noexcept override;
    void everything_changed() noexcept override;
    bool
    listens() const noexcept override {
        return !all_.empty();
    }

    struct ByUser {
        std::size_t
        operator()(const Hash128& user) const {
            return user.high;
        }
    };

    using Waiters = std::unordered_multimap<Hash128, Waiting*, ByUser>;
    static void remove(Waiters& from, const Hash128& user,
                       const Waiting* waiting) noexcept;
    static void on_timer(ngx_event_t* event) noexcept;
    void tick() noexcept;
    void note_full(ngx_uint_t limit, std::string_view of);

    RecordCache& cache_;
    Waiters all_;     // by user
    Waiters beside_;  // those of `all_` with a browser, by that
    std::unordered_map<std::uint64_t, ngx_uint_t> by_address_;
    ngx_uint_t limit_;
    ngx_uint_t limit_per_;
    ngx_event_t timer_{};
    time_t full_noted_ = 0;
};

inline bool
is_past(ngx_msec_t time) {
    return static_cast<ngx_msec_int_t>(time - ngx_current_msec) <= 0;
}

}  // namespace entitle::ngx
