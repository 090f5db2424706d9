// A worker's client of one Redis server: one shared, pipelined connection for
// reads, a bounded pool of exclusive ones for WATCH ... EXEC with a bounded,
// timed queue of those who wait for one, and a breaker in front of both: while
// the server is known to be down every call fails at once, and a probe in the
// background finds out when it is back.
//
//   placed     callers are served
//   searching  where the server is, is being found out: callers wait, but not
//              longer than kPatience
//   nowhere    that takes too long: callers fail at once until it is placed
//
// Callers are called back from an event of the node's own, one after the other,
// never from inside their calls and never while this code is in the middle of
// something. So a callback may send, cancel, acquire and release as it likes.
//
// The object outlives every connection, and whoever points at it: a worker's
// nodes are kept until it exits.
#pragma once

#include "core/redis/lease.h"
#include "ngx_module/redis_client/pool.h"

namespace entitle::ngx {

class RedisNode final : RedisConnection::Owner, RedisPool::Host {
  public:
    // Who decides where the node is. Called from the node's event, before the
    // callers it concerns.
    class Host {
      public:
        // An answer on its way to its caller. True: it was taken, and is sent
        // elsewhere.
        virtual bool answered(RedisNode* node, Pending& pending) = 0;
        // A connection was refused, or closed under somebody.
        virtual void lost(RedisNode* node) = 0;

      protected:
        ~Host() = default;
    };

    // Who has to know that it is another server now.
    class Listener {
      public:
        virtual void moved(RedisNode* node, std::string_view why) = 0;

      protected:
        ~Listener() = default;
    };

    // How it looks after itself.
    enum class Kind {
        fixed,     // a breaker, and a probe that finds it again
        searched,  // its host looks for it whenever it is lost
    };

    // `host` may be null for a fixed one. `name` is for messages. Placed at
    // `endpoint`.
    RedisNode(const MainConf* conf, Kind kind, Endpoint endpoint,
              std::string name, Host* host);
    ~RedisNode() {
        shut();
    }
    RedisNode(const RedisNode&) = delete;
    RedisNode& operator=(const RedisNode&) = delete;

    // --- for callers

    // NGX_ERROR: known to be down, or too much waits; `pending` was not taken.
    ngx_int_t send(Pending&& pending);
    ngx_int_t acquire(PoolHold* hold);
    ngx_int_t hold_send(PoolHold* hold, Pending pending);
    void release(PoolHold* hold, bool watching) noexcept;

    bool
    up() const override {
        return place_ == Place::searching ||
               (place_ == Place::placed &&
                breaker_.state() == Breaker::State::closed);
    }
    const Endpoint&
    endpoint() const {
        return endpoint_;
    }
    const std::string&
    name() const {
        return name_;
    }
    // Another number: what is sent on the shared connection since then goes
    // over another one.
    std::uint64_t
    generation() const {
        return generation_;
    }
    // Until when it is known to be the one to believe; without limit unless
    // its host sets one.
    MonoTime
    warranted_until() const {
        return warranted_until_;
    }
    void
    set_listener(Listener* listener) {
        listener_ = listener;
    }

    // --- for its host

    // Callers wait until it is placed.
    void search();
    // Another server, or the same afresh: all connections are closed.
    void move_to(Endpoint endpoint);
    void place();
    // While searching, and of the server that may be placed then.
    ngx_int_t ask(RedisExchange* exchange);
    void
    set_warranted_until(MonoTime time) {
        warranted_until_ = time;
    }
    // What was kept for it is of no use: its part of the data went elsewhere.
    void forget(std::string_view why);

    // Nobody turns to it any more, for now: what is idle is closed, and it is
    // not looked after.
    void rest();

    // Closes everything; nobody is called back any more.
    void shut();

  private:
    enum class Place { placed, searching, nowhere };

    // RedisConnection::Owner
    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending> unanswered,
                RedisStatus status, bool failed, std::string_view why) override;

    // RedisPool::Host
    bool open(RedisConnection& connection) override;
    void call_back_soon() override;

    static void on_turn(ngx_event_t* event) noexcept;
    static void on_timer(ngx_event_t* event) noexcept;

    bool serves() const;
    ngx_int_t send_shared(Pending&& pending);
    void open_shared();
    void queue_again(std::deque<Pending> unanswered, RedisStatus status);
    void fail(Pending pending, RedisStatus status);
    void fail_held(RedisStatus status);
    void went_down(std::string_view why);
    void came_up();
    void probe();
    void probe_soon();
    void open_what_is_needed();
    void call_back();
    bool taken_by_host(Pending& pending) noexcept;

    const MainConf* conf_;
    const Kind kind_;
    Endpoint endpoint_;
    std::string name_;
    Host* host_;
    Listener* listener_ = nullptr;
    Place place_ = Place::placed;
    std::string why_lost_ = "it is not found";
    bool said_down_ = false;
    bool lost_ = false;
    MonoTime warranted_until_ = MonoTime::max();
    Breaker breaker_;
    RedisConnection shared_;
    std::uint64_t generation_ = 0;
    RedisPool pool_;
    std::deque<Pending> held_;  // while searching
    std::deque<Pending> finished_;
    ngx_event_t turn_{};   // opens connections and calls back
    ngx_event_t timer_{};  // the next probe, or the end of patience
};

// The clock of leases and breakers: nginx's, as old as this turn of the loop.
MonoTime mono_now();
// Neither comes any more.
void forget(ngx_event_t& event);

}  // namespace entitle::ngx
