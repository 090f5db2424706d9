// What a RedisLease holds: a connection of its own at each node it needs, got
// when the first key there is named. One that watches nothing is given back as
// soon as the conversation turns to another node, so at most two are held: the
// one that watches and the one that is talked to.
#pragma once

#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class RedisLegs {
  public:
    // For a lease that lives longer.
    RedisLegs(RedisTopology& topology, RedisLease* lease)
        : topology_(topology), lease_(lease) {}
    ~RedisLegs();
    RedisLegs(const RedisLegs&) = delete;
    RedisLegs& operator=(const RedisLegs&) = delete;

    // Waits for the first one; the lease is called back.
    ngx_int_t begin();
    ngx_int_t send(RedisExchange* exchange);

  private:
    struct Leg {
        RedisLegs* legs;
        RedisNode* node;
        PoolLease lease{};
        bool held = false;
        bool watches = false;
        Pending waiting{};  // until it is held
    };

    static void on_acquired(PoolLease* lease, RedisStatus status) noexcept;

    Leg* add(RedisNode* node);
    void drop(Leg* leg);
    bool turn_to(RedisNode* node, const Command& first);
    void acquired(Leg* leg, RedisStatus status);
    void go_on(Leg* leg, Pending pending, RedisStatus status);

    RedisTopology& topology_;
    RedisLease* lease_;
    std::vector<std::unique_ptr<Leg>> legs_;
    Leg* current_ = nullptr;
};

}  // namespace entitle::ngx
