// What a RedisHold holds: a connection of its own at each node it needs, got
// when the first key there is named. One that watches nothing is given back as
// soon as the conversation turns to another node, so at most two are held: the
// one that watches and the one that is talked to.
#pragma once

#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class RedisLegs {
  public:
    // For a hold that lives longer.
    RedisLegs(const MainConf& conf, RedisTopology& topology, RedisHold* hold)
        : conf_(conf), topology_(topology), hold_(hold) {}
    ~RedisLegs();
    RedisLegs(const RedisLegs&) = delete;
    RedisLegs& operator=(const RedisLegs&) = delete;

    // Waits for the first one; the hold is called back.
    ngx_int_t begin();
    ngx_int_t send(RedisExchange* exchange);
    // Closes the connection that was sent on last; the next send gets another.
    void distrust() noexcept;

  private:
    struct Leg {
        RedisLegs* legs;
        RedisNode* node;
        PoolHold hold{};
        bool held = false;
        LeftBehind left = LeftBehind::nothing;
        Pending waiting{};  // until it is held
    };

    static void on_acquired(PoolHold* hold, RedisStatus status) noexcept;

    Leg* add(RedisNode* node);
    void drop(Leg* leg) noexcept;
    bool turn_to(RedisNode* node, const Command& first);
    void acquired(Leg* leg, RedisStatus status) noexcept;
    void go_on(Leg* leg, Pending pending, RedisStatus status) noexcept;

    const MainConf& conf_;
    RedisTopology& topology_;
    RedisHold* hold_;
    std::vector<std::unique_ptr<Leg>> legs_;
    Leg* current_ = nullptr;
};

}  // namespace entitle::ngx
