// entitle_redis_read: gates read the first replica that is known to be as new
// as they need; where none is, the primary.
//
// Three times a lease, while anybody asks for a node, the primary is asked
// where its history is at, then every replica how much of it has been applied
// (core/redis/replication.h). One that has it all is warranted until a lease
// after the primary was asked; one that is somewhat behind until a lease after
// the primary was there. So whatever is frozen, cut off, late or gone, what a
// gate believes is never older than the lease; and where the primary does not
// answer, no replica is read for longer than that.
//
// A replica that becomes a primary, has another history, was emptied (as for
// the data of another primary) or lost a connection is not read until it has
// been asked again. What it says meanwhile is thrown away, and asked of
// another.
#pragma once

#include "core/redis/replication.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class RedisReplicas final : public RedisTopology, RedisNode::Host {
  public:
    // `primaries` has one node, and outlives this.
    RedisReplicas(const MainConf* conf, RedisTopology& primaries);
    ~RedisReplicas() override {
        shut();
    }
    RedisReplicas(const RedisReplicas&) = delete;
    RedisReplicas& operator=(const RedisReplicas&) = delete;

    // RedisTopology
    RedisNode* node_of(std::string_view key) override;
    RedisNode*
    only_node() override {
        return node_of({});
    }
    std::vector<RedisNode*>
    nodes() override {
        return {choose()};
    }
    std::uint64_t
    revision() const override {
        return revision_;
    }
    void wanted() override;
    void
    emptied(RedisNode* node) override {
        doubt(node);
    }
    void shut() override;

  private:
    struct Replica {
        Replica(RedisReplicas* replicas, const MainConf* conf,
                const Endpoint& endpoint);
        RedisReplicas* all;
        RedisNode node;
        RedisExchange question;
        bool asked = false;
        bool read = false;  // and said so
    };

    // RedisNode::Host, of the replicas
    bool answered(RedisNode* node, Pending& pending) override;
    void
    lost(RedisNode* node) override {
        doubt(node);
    }

    static void on_primary(RedisExchange* exchange,
                           RedisStatus status) noexcept;
    static void on_replica(RedisExchange* exchange,
                           RedisStatus status) noexcept;
    template <class F>
    static void guard(RedisReplicas* self, F f) noexcept;

    RedisNode* choose();
    void tick();
    void ask_primary();
    void ask_replicas();
    void take_primary(RedisStatus status);
    void take_replica(Replica& replica, RedisStatus status);
    void doubt(const RedisNode* node);
    void say(Replica& replica, std::string_view why_not);

    const MainConf* conf_;
    const Milliseconds warrant_;
    RedisTopology& primaries_;
    std::vector<std::unique_ptr<Replica>> replicas_;
    RedisNode* chosen_ = nullptr;
    std::uint64_t revision_ = 1;

    PrimaryMarks marks_;
    RedisExchange question_;        // to the primary
    RedisNode* primary_ = nullptr;  // whom it was sent to; null: answered
    MonoTime asked_at_{};

    RedisTimer timer_;
    ngx_msec_t used_at_ = 0;
};

}  // namespace entitle::ngx
