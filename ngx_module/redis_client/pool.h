// Exclusive connections for WATCH ... EXEC: a bounded number of them, and a
// bounded, timed queue of those who wait for one, first come, first served.
#pragma once

#include "ngx_module/redis_client/connection.h"

namespace entitle::ngx {

class RedisNode;

// One connection of the pool, held or waited for; lives in whoever holds it.
struct PoolHold {
    // Called exactly once unless released first, never from inside acquire():
    // status ok, then it is held; or it is not.
    void (*acquired)(PoolHold* hold, RedisStatus status) noexcept = nullptr;
    void* data = nullptr;
    void* connection = nullptr;  // the pool's own
};

class RedisPool {
  public:
    // The client the pool is part of.
    class Host {
      public:
        virtual bool up() const = 0;
        // False: not now.
        virtual bool open(RedisConnection& connection) = 0;
        // Has call_back() called once this turn of the event loop ends.
        virtual void call_back_soon() = 0;

      protected:
        ~Host() = default;
    };

    // How long one waits for a connection, at most.
    static constexpr ngx_msec_t kPatience = 2000;

    RedisPool(const MainConf* conf, Host* host, RedisConnection::Owner* owner);
    RedisPool(const RedisPool&) = delete;
    RedisPool& operator=(const RedisPool&) = delete;

    // NGX_ERROR: too many wait already.
    ngx_int_t acquire(PoolHold* hold);
    // NGX_ERROR: the hold's connection is lost.
    ngx_int_t send(PoolHold* hold, Pending pending);
    void release(PoolHold* hold, bool watching) noexcept;

    // News of the connections, and of Redis as a whole.
    void
    connected() {
        serve();
    }
    void closed(RedisConnection* connection);
    void went_down();
    // The server is another one now. What the leased connections leave
    // unanswered.
    std::deque<Pending> cut();
    // Opens as many connections as there are waiters left without.
    void open_for_waiters();

    // Calls back one of those whose wait is over; false: there is none.
    bool call_back_one();

    void shut();

  private:
    struct Pooled {
        Pooled(const MainConf* conf, RedisConnection::Owner* owner)
            : connection(conf, owner) {}
        RedisConnection connection;
        PoolHold* hold = nullptr;
        bool lost = false;  // closed under its hold
    };
    struct Waiter {
        PoolHold* hold;
        ngx_msec_t deadline;
    };
    struct Notice {  // a hold that was granted, or will not be
        PoolHold* hold;
        RedisStatus status;
    };

    static void on_timer(ngx_event_t* event) noexcept;

    void give_back(RedisConnection& connection, bool watching);
    void serve();
    void notify(PoolHold* hold, RedisStatus status);
    void expire();
    void arm_timer();

    const MainConf* conf_;
    Host* host_;
    RedisConnection::Owner* owner_;
    std::vector<std::unique_ptr<Pooled>> pool_;
    std::deque<Waiter> waiters_;
    std::deque<Notice> notices_;
    ngx_event_t timer_{};  // of the first waiter
};

}  // namespace entitle::ngx
