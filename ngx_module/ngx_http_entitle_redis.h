// The worker's Redis client: one shared, pipelined connection for reads, a
// bounded pool of exclusive ones for WATCH ... EXEC with a bounded, timed queue
// of those who wait for one, and a breaker in front of both: while Redis is
// known to be down every call fails at once, and a probe in the background
// finds out when it is back.
//
// Callers are called back from an event of our own, one after the other, never
// from inside their calls and never while this code is in the middle of
// something. So a callback may send, cancel, acquire and release as it likes.
#pragma once

#include "ngx_module/ngx_http_entitle_redis_connection.h"

namespace entitle::ngx {

class Redis : RedisConnection::Owner {
  public:
    explicit Redis(const MainConf* conf);
    ~Redis() {
        shut();
    }
    Redis(const Redis&) = delete;
    Redis& operator=(const Redis&) = delete;

    ngx_int_t send(RedisExchange* exchange);
    ngx_int_t acquire(RedisLease* lease);
    ngx_int_t lease_send(RedisLease* lease, RedisExchange* exchange);
    void release(RedisLease* lease, bool watching);

    // Closes everything; nobody is called back any more.
    void shut();

  private:
    struct Pooled {
        Pooled(const MainConf* conf, Owner* owner) : connection(conf, owner) {}
        RedisConnection connection;
        RedisLease* lease = nullptr;
        bool broken = false;  // closed under its lease
    };
    struct Waiter {
        RedisLease* lease;
        ngx_msec_t deadline;
    };
    struct Notice {  // a lease that was granted, or will not be
        RedisLease* lease;
        RedisStatus status;
    };

    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending> unanswered,
                RedisStatus status, bool failed, std::string_view why) override;

    static void on_turn(ngx_event_t* event) noexcept;
    static void on_probe(ngx_event_t* event) noexcept;
    static void on_waiters(ngx_event_t* event) noexcept;

    bool
    up() const {
        return breaker_.state() == Breaker::State::closed;
    }
    bool open(RedisConnection& connection);
    void queue_again(std::deque<Pending> unanswered, RedisStatus status);
    void open_what_is_needed();
    void probe_soon();
    void went_down(std::string_view why);
    void fail(Pending pending, RedisStatus status);
    void serve_waiters();
    void open_for_waiters();
    void grant(Pooled& pooled, RedisLease* lease);
    void notify(RedisLease* lease, RedisStatus status);
    void fail_waiters(RedisStatus status);
    void arm_waiters();
    void call_back();

    const MainConf* conf_;
    Breaker breaker_;
    RedisConnection shared_;
    std::vector<std::unique_ptr<Pooled>> pool_;
    std::deque<Waiter> waiters_;

    std::deque<Pending> finished_;
    std::deque<Notice> notices_;
    ngx_event_t turn_{};  // opens connections and calls back
    ngx_event_t probe_{};
    ngx_event_t waiters_timer_{};
};

// Closes every connection: the worker exits.
void redis_exit(MainConf* conf) noexcept;

}  // namespace entitle::ngx
