// Drives one of the core's conversations with Redis over a connection of its
// own, from the bounded pool: nginx's end of core/redis/conversation.h.
//
// Ends with its owner at any moment; what Redis was told by then stays told.
#pragma once

#include <optional>
#include <string_view>

#include "core/redis/conversation.h"
#include "core/redis/transaction.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// What does not depend on what the conversation comes to.
class RedisTalkBase {
  public:
    // Called once it is done, exactly once and never from inside start();
    // not after stop(). The talk may be destroyed in there.
    using Wake = void (*)(void* data) noexcept;

    RedisTalkBase(const RedisTalkBase&) = delete;
    RedisTalkBase& operator=(const RedisTalkBase&) = delete;

    bool
    done() const {
        return state_ != State::idle && state_ != State::talking;
    }
    // Why there is no result, as a literal; empty: there is one.
    std::string_view error() const;
    // By an exception, which the log has: nothing Redis could mend.
    bool
    is_broken() const {
        return state_ == State::broken;
    }
    // Gives the connection back. Again is harmless.
    void stop() noexcept;

  protected:
    RedisTalkBase(const MainConf* conf, Wake wake, void* data);
    ~RedisTalkBase() {
        stop();
    }

    // With the conversation at its beginning; it is done at once where Redis
    // is known to be away.
    void begin(ngx_msec_t patience);

  private:
    enum class State { idle, talking, ok, unreachable, late, broken };

    virtual Step* next() = 0;
    virtual void resume(std::vector<Reply> replies) = 0;
    // Throws what the conversation threw.
    virtual void check() = 0;

    static void on_acquired(RedisHold* hold, RedisStatus status) noexcept;
    static void on_replies(RedisExchange* exchange,
                           RedisStatus status) noexcept;
    static void on_pause_over(void* data) noexcept;
    static void on_late(void* data) noexcept;
    template <class F>
    void from_event(RedisStatus status, F f) noexcept;
    void advance();
    void send_step();
    void end(State how) noexcept;

    const MainConf* conf_;
    Wake wake_;
    void* data_;
    State state_ = State::idle;
    RedisHold hold_;
    RedisExchange exchange_;
    RedisDeadline pause_;
    RedisDeadline patience_;
};

template <class T>
class RedisTalk final : public RedisTalkBase {
  public:
    RedisTalk(const MainConf* conf, Wake wake, void* data)
        : RedisTalkBase(conf, wake, data) {}

    // What went before is stopped and forgotten. `patience`: what all of it
    // may take; 0: as long as its exchanges may take one by one. Where Redis is
    // known to be away it is done() when this returns, and `wake` is not
    // called.
    void
    start(Conversation<T> conversation, ngx_msec_t patience = 0) {
        stop();
        conversation_.emplace(std::move(conversation));
        begin(patience);
    }
    // Only once done() without an error(); until the next start().
    T&
    result() {
        return conversation_->result();
    }

  private:
    Step*
    next() override {
        return conversation_->step();
    }
    void
    resume(std::vector<Reply> replies) override {
        conversation_->resume(std::move(replies));
    }
    void
    check() override {
        conversation_->result();
    }

    std::optional<Conversation<T>> conversation_;
};

// What conversations are given beside random_bits().
std::chrono::sys_time<std::chrono::milliseconds> wall_clock();
// entitle_redis_wait
ReplicaWait replica_wait(const MainConf* conf);

}  // namespace entitle::ngx
