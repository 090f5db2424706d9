// What the rest of the module asks of Redis: exchanges, on the worker's shared
// connection, and holds, each a connection of one's own.
//
// Both live in the caller (a request's pool) and end with it: their destructors
// undo whatever is under way. And neither relies on what the client below
// believes: each has a timer of its own from the moment it is begun, and ends
// as timed_out when that fires, whatever state a connection is in.
#pragma once

#include <string>
#include <vector>

#include "core/redis/ending.h"
#include "core/redis/reply.h"
#include "ngx_module/nginx.h"

namespace entitle::ngx {

struct MainConf;

// The time one exchange, or the wait for a connection, has at most.
class RedisDeadline {
  public:
    RedisDeadline() = default;
    RedisDeadline(const RedisDeadline&) = delete;
    RedisDeadline& operator=(const RedisDeadline&) = delete;
    ~RedisDeadline() {
        disarm();
    }

    // `late` is called with `data` once `time` has passed, unless disarmed.
    void arm(ngx_msec_t time, void (*late)(void* data) noexcept,
             void* data) noexcept;
    void disarm() noexcept;

  private:
    static void on_timer(ngx_event_t* event) noexcept;

    ngx_event_t timer_{};
    void (*late_)(void* data) noexcept = nullptr;
    void* data_ = nullptr;
    bool looked_ = false;
};

// One exchange with Redis. The caller fills `key`, `commands`, `done` and
// `data`. `done` is called exactly once, never from inside redis_send, unless
// redis_cancel (or the end of the exchange) came first, then never. In `done`,
// replies has one Reply per command when the status is ok.
struct RedisExchange {
    RedisExchange() = default;
    RedisExchange(const RedisExchange&) = delete;
    RedisExchange& operator=(const RedisExchange&) = delete;
    ~RedisExchange();

    std::string key;  // the one all commands touch: it says which node is asked
    std::vector<Command> commands;
    void (*done)(RedisExchange* exchange,
                 RedisStatus status) noexcept = nullptr;
    void* data = nullptr;
    std::vector<Reply> replies;
    ngx_msec_t more_time = 0;  // for the answer, beside entitle_redis_timeout

    void* pending = nullptr;  // the client's own, as is
    RedisDeadline deadline;
    // Who answered; a node of the client's (redis_client/node.h).
    const void* replied_by = nullptr;
};

// On the worker's shared, pipelined connection: for reads only, since what a
// lost connection left unanswered is sent once more. NGX_ERROR: nothing was
// queued and `done` will not come (Redis is known to be down, or no memory).
ngx_int_t redis_send(const MainConf* conf, RedisExchange* exchange) noexcept;
// The caller goes away: its reply is dropped when it comes.
void redis_cancel(RedisExchange* exchange) noexcept;
// A command whose answer nobody waits for; nothing happens while Redis is down.
// Its second word is the key.
void redis_tell(const MainConf* conf, const Command& command) noexcept;

// Whether one server has all keys, whoever that is now: no Cluster.
bool redis_has_one_server(const MainConf* conf);

// A connection of one's own, from the bounded pool, for WATCH ... EXEC. In a
// Cluster one at each node that the keys of what is sent name, as needed; so
// UNWATCH is the first command of a step that no longer needs what is watched.
struct RedisHold {
    RedisHold() = default;
    RedisHold(const RedisHold&) = delete;
    RedisHold& operator=(const RedisHold&) = delete;
    ~RedisHold();

    std::string key;  // of what is sent first
    // Called exactly once, never from inside redis_acquire: status ok, then
    // redis_hold_send may be used; or it failed and nothing is held.
    void (*acquired)(RedisHold* hold, RedisStatus status) noexcept = nullptr;
    void* data = nullptr;

    void* legs = nullptr;  // the client's own, as is
    RedisDeadline deadline;
};
ngx_int_t redis_acquire(const MainConf* conf, RedisHold* hold) noexcept;
ngx_int_t redis_hold_send(RedisHold* hold, RedisExchange* exchange) noexcept;
// Its last answers leave the connection in doubt (core/redis/exec_reply.h): it
// is closed, and what is sent next goes over another.
void redis_distrust(RedisHold* hold) noexcept;
// Gives the connection back (UNWATCH first where something is watched), or
// closes it when an exchange is still outstanding. Safe at any moment, also
// while acquiring.
void redis_release(RedisHold* hold) noexcept;

}  // namespace entitle::ngx
