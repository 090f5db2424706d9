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

#include "ngx_module/ngx_http_entitle_redis_pool.h"

namespace entitle::ngx {

class Redis final : RedisConnection::Owner, RedisPool::Host {
  public:
    explicit Redis(const MainConf* conf);
    ~Redis() {
        shut();
    }
    Redis(const Redis&) = delete;
    Redis& operator=(const Redis&) = delete;

    ngx_int_t send(RedisExchange* exchange);
    ngx_int_t tell(const Command& command);
    ngx_int_t acquire(RedisLease* lease);
    ngx_int_t lease_send(RedisLease* lease, RedisExchange* exchange);
    void release(RedisLease* lease, bool watching);
    // Another number: what is sent on the shared connection since then goes
    // over another one.
    std::uint64_t
    generation() const {
        return generation_;
    }

    // Closes everything; nobody is called back any more.
    void shut();

  private:
    // RedisConnection::Owner
    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending> unanswered,
                RedisStatus status, bool failed, std::string_view why) override;

    // RedisPool::Host
    bool
    up() const override {
        return breaker_.state() == Breaker::State::closed;
    }
    bool open(RedisConnection& connection) override;
    void call_back_soon() override;

    static void on_turn(ngx_event_t* event) noexcept;
    static void on_probe(ngx_event_t* event) noexcept;

    ngx_int_t send_shared(Pending pending);
    void queue_again(std::deque<Pending> unanswered, RedisStatus status);
    void fail(Pending pending, RedisStatus status);
    void went_down(std::string_view why);
    void probe_soon();
    void open_what_is_needed();
    void call_back();

    const MainConf* conf_;
    Breaker breaker_;
    RedisConnection shared_;
    std::uint64_t generation_ = 0;
    RedisPool pool_;
    std::deque<Pending> finished_;
    ngx_event_t turn_{};  // opens connections and calls back
    ngx_event_t probe_{};
};

// Closes every connection: the worker exits.
void redis_exit(MainConf* conf) noexcept;

}  // namespace entitle::ngx
