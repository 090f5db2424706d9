// A worker's client of one Redis server: core/redis/node_rules.h with nginx's
// sockets, timers and log.
//
// Callers are called back from an event of the node's own, one after the other,
// never from inside their calls and never while this code is in the middle of
// something. So a callback may send, cancel, acquire and release as it likes.
//
// The object outlives every connection, and whoever points at it: a worker's
// nodes are kept until it exits.
#pragma once

#include "core/redis/lease.h"
#include "core/redis/node_rules.h"
#include "ngx_module/redis_client/connection.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

// One connection of a node's pool, held or waited for; lives in whoever holds
// it.
struct PoolHold {
    // Called exactly once unless released first, never from inside acquire():
    // status ok, then it is held; or it is not.
    void (*acquired)(PoolHold* hold, RedisStatus status) noexcept = nullptr;
    void* data = nullptr;
    void* connection = nullptr;  // the pool's own
};

class RedisNode final : RedisConnection::Owner {
    // What the rules are driven with.
    class Client {
      public:
        using Connection = RedisConnection;
        using Pending = entitle::ngx::Pending;
        using Hold = PoolHold;

        static constexpr ngx_uint_t kSaidAtOnce = 5;

        Client(const MainConf* conf, RedisNode* node);

        MonoTime now() const;
        std::uint64_t random() const;
        bool quits() const;
        RedisTimer&
        node_timer() {
            return node_timer_;
        }
        RedisTimer&
        pool_timer() {
            return pool_timer_;
        }
        void turn_soon() noexcept;
        std::unique_ptr<RedisConnection> make_connection() const;
        void open_connection(RedisConnection& connection, bool quiet) const;
        Pending unwatch() const;
        bool said_down(std::string_view why);
        void said_back() const;
        void said_refused(std::string_view why);
        void said_lost(std::string_view why);

      private:
        const MainConf* conf_;
        RedisNode* node_;
        RedisTimer node_timer_;  // the next probe, or the end of patience
        RedisTimer pool_timer_;  // the first waiter's patience
        // Redis that comes and goes. Not each time: that is what a worker of
        // many says in a bad minute.
        Seldom down_{kSaidAtOnce}, refused_{kSaidAtOnce}, lost_;
    };
    using Rules = NodeRules<Client>;

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

    using Kind = Rules::Kind;

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
    void
    release(PoolHold* hold, LeftBehind left) noexcept {
        rules_.release(hold, left);
    }

    bool
    up() const {
        return rules_.up();
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
        return rules_.generation();
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

    // Callers wait until it is found.
    void
    search() {
        rules_.search();
    }
    // Another server, or the same afresh: all connections are closed.
    void move_to(Endpoint endpoint);
    void
    found() {
        rules_.found();
    }
    // While searching, and of the server that may be found then.
    ngx_int_t ask(RedisExchange* exchange);
    void
    set_warranted_until(MonoTime time) {
        warranted_until_ = time;
    }
    // What was kept for it is of no use: its part of the data went elsewhere.
    void forget(std::string_view why);

    // Nobody turns to it any more, for now: what is idle is closed, and it is
    // not looked after.
    void
    rest() {
        rules_.rest();
    }

    // Closes everything; nobody is called back any more.
    void shut();

  private:
    // RedisConnection::Owner
    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending>& unanswered,
                RedisStatus status, Ending ending,
                std::string_view why) override;

    static void on_turn(ngx_event_t* event) noexcept;
    void call_back();
    bool taken_by_host(Pending& pending) noexcept;

    const MainConf* conf_;
    Endpoint endpoint_;
    std::string name_;
    Host* host_;
    Listener* listener_ = nullptr;
    MonoTime warranted_until_ = MonoTime::max();
    RedisConnection shared_;
    ngx_event_t turn_{};  // opens connections and calls back
    Client client_;
    Rules rules_;
};

// The clock of leases and breakers: nginx's, as old as this turn of the loop.
MonoTime mono_now();
// Neither comes any more.
void forget(ngx_event_t& event);

}  // namespace entitle::ngx
