// Drives one of the core's conversations with Redis over a connection of its
// own, from the bounded pool: nginx's end of core/redis/conversation.h.
//
// Ends with its owner at any moment; what Redis was told by then stays told.
#pragma once

#include "core/redis/conversation.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

class RedisTalk {
  public:
    // How it went. ok: the conversation has its result. `thrown`: it failed
    // otherwise (no memory). The talk may be destroyed in there.
    using Ended = void (*)(void* data, RedisStatus status,
                           const std::exception* thrown) noexcept;

    RedisTalk(const MainConf* conf, Ended ended, void* data);
    RedisTalk(const RedisTalk&) = delete;
    RedisTalk& operator=(const RedisTalk&) = delete;
    ~RedisTalk() {
        stop();
    }

    // `talk` is the caller's and lives on until it has ended or is stopped.
    // `ended` is called exactly once, never from inside here, unless stop()
    // came first. False: Redis cannot be reached, and it will not be called.
    template <class T>
    bool
    start(Conversation<T>* talk) {
        talk_ = talk;
        next_ = [](void* t) {
            return static_cast<Conversation<T>*>(t)->next();
        };
        resume_ = [](void* t, std::vector<Reply> replies) {
            static_cast<Conversation<T>*>(t)->resume(std::move(replies));
        };
        const Step* first = talk->next();
        hold_.key = first == nullptr ? std::string() : first->key;
        return redis_acquire(conf_, &hold_) == NGX_OK;
    }
    // Gives the connection back. Again is harmless.
    void stop() noexcept;

  private:
    static void on_acquired(RedisHold* hold, RedisStatus status) noexcept;
    static void on_replies(RedisExchange* exchange,
                           RedisStatus status) noexcept;
    static void on_pause_over(ngx_event_t* event) noexcept;
    template <class F>
    void from_event(RedisStatus status, F f) noexcept;
    void advance();
    void send_step();
    void end(RedisStatus status, const std::exception* thrown) noexcept;

    const MainConf* conf_;
    Ended ended_;
    void* data_;
    void* talk_ = nullptr;
    const Step* (*next_)(void* talk) = nullptr;
    void (*resume_)(void* talk, std::vector<Reply> replies) = nullptr;
    RedisHold hold_;
    RedisExchange exchange_;
    ngx_event_t pause_{};
};

// For the log.
std::string_view word(RedisStatus status);

// What conversations are given beside random_bits().
std::chrono::sys_time<std::chrono::milliseconds> wall_clock();

}  // namespace entitle::ngx
