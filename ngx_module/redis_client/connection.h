// One connection to Redis on nginx's own event loop: connect to an endpoint,
// greet (AUTH, SELECT, CLIENT SETNAME, PING), then
// commands out and replies in, pipelined.
//
//   closed -> finding -> connecting -> securing -> greeting -> ready -> closed
//             (name)                   (TLS)
//
// A host may have several addresses: what fails before it is ready is tried
// again with the next of them, without a word to the owner. A name is looked up
// again as long as the connection lives, and when it no longer has the address
// in use, the connection closes as soon as nobody holds it and nothing that was
// written is unanswered. It also does that once a server says that another is
// the one to talk to (core/redis/error.h, elsewhere).
//
// Nothing waits without a timer: connecting, with the handshake of TLS, has
// entitle_redis_connect_timeout,
// the greeting and each command have entitle_redis_timeout from the moment they
// are written, by the real clock: a worker that was held up itself must not
// take that for a slow Redis. The first command that is late closes the
// connection: whatever follows it would be late too, and its answers could no
// longer be told apart. The timer keeps a worker that was told to quit alive
// only while somebody waits.
//
// The object outlives its sockets and is used again after each close. It calls
// its owner from inside its own functions; the owner must only take notes, and
// not open or shut this connection before it has returned.
#pragma once

#include <deque>
#include <memory>

#include "core/redis/resp.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/redis_client/names.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// A RedisExchange under way. The exchange is null once nobody waits for it.
struct PendingExchange {
    PendingExchange() = default;
    PendingExchange(const PendingExchange&) = delete;
    PendingExchange& operator=(const PendingExchange&) = delete;
    // Unanswered, because there was no memory to keep it: whoever waits is told
    // by its own timer, soon.
    ~PendingExchange();

    // The exchange, which is under way no more; null: nobody waits.
    RedisExchange* let_go() noexcept;
    // What this waited for, `other` waits for now, within the same deadline.
    void hand_over(PendingExchange& other) noexcept;

    bool
    wanted() const {
        return exchange != nullptr;
    }

    RedisExchange* exchange = nullptr;
    std::string bytes;         // the commands as they go over the wire
    std::size_t expected = 0;  // replies
    std::vector<Reply> replies;
    ngx_msec_t more_time = 0;  // RedisExchange::more_time
    ngx_msec_t deadline = 0;   // once written
    RedisStatus status = RedisStatus::ok;
    bool repeated = false;
    bool pinned = false;     // asked of this very server
    std::uint8_t moves = 0;  // to other nodes of a Cluster
    bool asking = false;     // the first answer is ASKING's
    std::string mark{};      // of the connection's own: what it answers
};
using Pending = std::unique_ptr<PendingExchange>;

// Nobody waits for the replies.
Pending make_pending(std::span<const Command> commands);
// For `exchange`, whose deadline begins now.
Pending make_pending(const MainConf& conf, RedisExchange* exchange,
                     std::span<const Command> commands);

// The longest an exchange may take: everything it may need, a connection and
// its reply, twice.
ngx_msec_t exchange_time(const MainConf& conf);

// Calls back whoever waits for it.
void deliver(Pending pending) noexcept;

class RedisConnection {
  public:
    class Owner {
      public:
        virtual void connected(RedisConnection* connection) = 0;
        virtual void completed(Pending pending) = 0;
        // `unanswered` in the order they were sent; what is left there ends as
        // unavailable.
        virtual void closed(RedisConnection* connection,
                            std::deque<Pending>& unanswered, RedisStatus status,
                            Ending ending, std::string_view why) = 0;
        // While listening. False: it must not say that; close.
        virtual bool
        pushed(RedisConnection*, const Reply&) {
            return false;
        }

      protected:
        ~Owner() = default;
    };

    // Goes to the first of MainConf::redis_endpoints until told otherwise.
    RedisConnection(const MainConf* conf, Owner* owner);
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;

    bool
    is_closed() const {
        return state_ == State::closed;
    }
    bool
    is_ready() const {
        return state_ == State::ready && !leaving_;
    }
    std::size_t
    outstanding() const {
        return queue_.size();
    }

    // Each write ends with a mark that must come back, and what was asked
    // before it counts as answered only then: an answer that was lost or is one
    // too many gives nobody another's.
    void
    mark_writes() {
        marks_writes_ = true;
    }
    // Greets with an empty transaction, too: where MULTI is not permitted, what
    // stands between it and EXEC would be run one by one.
    void
    prove_transactions() {
        proves_transactions_ = true;
    }
    // Only while closed.
    void set_endpoint(Endpoint endpoint);
    const Endpoint&
    endpoint() const {
        return endpoint_;
    }
    // From closed. A failure is reported to the owner, like any other.
    // `quiet`: it does not say why in the log.
    void open(bool quiet);

    // Queued now, written when this turn of the event loop ends, or, where the
    // connection is not there yet, once it is.
    void send(Pending pending);
    // Takes back what was queued on a closed connection.
    std::deque<Pending>
    take_queue() {
        return std::exchange(queue_, {});
    }

    // From ready, with nothing outstanding: what comes from now on answers no
    // command, and each goes to Owner::pushed.
    void
    listen() {
        listening_ = true;
    }
    // While listening: queued now, written when this turn ends. What Redis
    // says to it, if anything, is pushed; whoever waits needs a timer.
    void say(const Command& command);

    // Nobody holds it: with nothing outstanding nginx may close it when the
    // worker quits.
    void set_held(bool held);

    // Without telling the owner.
    void shut();

  private:
    enum class State { closed, finding, connecting, securing, greeting, ready };

    static void on_read(ngx_event_t* event) noexcept;
    static void on_write(ngx_event_t* event) noexcept;
    static void on_secured(ngx_connection_t* c) noexcept;
    static void on_found(ngx_event_t* event) noexcept;
    static void on_recheck(ngx_event_t* event) noexcept;
    static void on_timer(ngx_event_t* event) noexcept;
    static void on_flush(ngx_event_t* event) noexcept;
    static u_char* log_context(ngx_log_t* log, u_char* buffer,
                               std::size_t size);
    template <class F>
    static void guard(RedisConnection* self, F f) noexcept;

    static ngx_msec_t from_now(ngx_msec_t time);
    bool
    talks() const {
        return state_ == State::greeting || state_ == State::ready;
    }
    void found();
    void recheck_soon();
    void leave(std::string_view why);
    void connect_next();
    void connect_failed(ngx_err_t error);
    void connect_ended();
    void connected();
    void secured();
    void greet();
    Command login() const;
    void take_greeting(const Reply& reply);
    void become_ready();
    void flush();
    void receive();
    void take_replies();
    void take(Reply reply);
    void take_no_more();
    void push_mark();
    void complete_answered();
    void arm_timer(ngx_msec_t deadline);
    void restart_timer(ngx_msec_t deadline);
    void expire();
    void update_idle();
    void drop_socket();
    void close(RedisStatus status, bool failed, std::string_view why);

    const MainConf* conf_;
    Owner* owner_;
    Endpoint endpoint_;
    std::string endpoint_text_;
    State state_ = State::closed;
    bool held_ = false;
    bool listening_ = false;
    bool proves_transactions_ = false;
    bool marks_writes_ = false;
    bool may_mark_ = false;  // PING is permitted
    bool last_look_ = false;
    bool leaving_ = false;
    std::string leaving_why_;
    ngx_msec_t deadline_ = 0;  // of finding, connecting, then of the greeting

    ngx_log_t log_{};
    ngx_event_t timer_{};
    ngx_event_t flush_{};
    ngx_event_t found_{};    // a lookup is over, or the next address is due
    ngx_event_t recheck_{};  // of the name
    NameLookup lookup_{&found_};
    std::vector<SocketAddress> addresses_;
    std::size_t next_address_ = 0;
    ngx_str_t address_text_{};  // of endpoint_text_
    ngx_peer_connection_t peer_{};
    ngx_connection_t* c_ = nullptr;

    std::vector<Command> greeting_;
    std::size_t greeted_ = 0;    // replies to the greeting
    std::deque<Pending> queue_;  // unanswered, oldest first
    std::deque<Pending> left_;   // likewise, while the owner is told of an end
    std::size_t written_ = 0;    // of queue_: already in out_
    std::size_t answered_ = 0;   // of queue_: whole, and not yet vouched for
    std::uint64_t marks_ = 0;
    std::string out_;
    std::size_t sent_ = 0;
    std::optional<ReplyReader> reader_;
};

}  // namespace entitle::ngx
