// cluster://: a node for each primary, and which slots it has, from CLUSTER
// SLOTS.
//
// Every primary is asked for it three times a lease while anybody asks for a
// node, sooner after a MOVED, a lost connection, or an answer that differs.
// What most of them say is the map; one MOVED is taken at its word until then.
// Until there is a map, any of the nodes configured is asked and points
// elsewhere.
//
// A node is warranted for one more lease, from when they were asked, by every
// poll in which most primaries and the node itself say that it has exactly the
// slots the map says. So what was cached of a node that was replaced, or has
// lost a slot, is not believed for longer. It may be read until then: Redis
// itself keeps a primary that has lost its cluster from answering.
//
// A read follows MOVED and ASK. In a transaction neither is followed: the
// answer is an error, and the delivery starts again.
#pragma once

#include <map>

#include "core/redis/slots.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class RedisCluster final : public RedisTopology, RedisNode::Host {
  public:
    explicit RedisCluster(const MainConf* conf);
    ~RedisCluster() override {
        shut();
    }
    RedisCluster(const RedisCluster&) = delete;
    RedisCluster& operator=(const RedisCluster&) = delete;

    // RedisTopology
    RedisNode* node_of(std::string_view key) override;
    bool
    is_cluster() const override {
        return true;
    }
    std::vector<RedisNode*> nodes() override;
    std::uint64_t
    revision() const override {
        return revision_;
    }
    void wanted() override;
    void shut() override;

  private:
    // The slots of each primary, as numbers to compare.
    using Shares = std::map<std::string, std::uint64_t>;
    struct View {
        SlotMap map;
        Shares shares;
    };
    struct Member {
        explicit Member(RedisCluster* its_cluster) : cluster(its_cluster) {}

        RedisCluster* cluster;
        std::unique_ptr<RedisNode> node;
        RedisExchange poll;
        bool polled = false;     // in the poll under way
        bool answering = false;  // and has not answered yet
        std::optional<View> view;
    };

    // RedisNode::Host
    bool answered(RedisNode* node, Pending& pending) override;
    void lost(RedisNode* node) override;

    static void on_poll(RedisExchange* exchange, RedisStatus status) noexcept;
    template <class F>
    static void guard(RedisCluster* self, F f) noexcept;

    Member* member_at(const RedisHost& host);
    RedisNode* node_at(const RedisHost& host);
    RedisNode* any_node();
    std::vector<RedisHost> whom_to_ask() const;

    void tick();
    void poll();
    void take_poll(Member& member, RedisStatus status);
    void conclude();
    const View* opinion_of_most(std::size_t asked) const;
    void warrant(std::size_t asked);
    void adopt(SlotMap map);
    void follow(const entitle::Redirect& redirect);
    bool send_on(const entitle::Redirect& redirect, Pending& pending);
    void ask_soon();

    const MainConf* conf_;
    const Milliseconds warrant_;
    std::map<std::string, std::unique_ptr<Member>> members_;  // by address
    std::optional<View> map_;
    std::array<RedisNode*, kSlots> owners_{};
    std::uint64_t revision_ = 1;
    std::size_t seed_ = 0;

    bool polling_ = false;
    MonoTime polled_at_{};
    int in_vain_ = 0;  // polls in a row that most did not answer

    RedisTimer timer_;
    ngx_msec_t used_at_ = 0;
};

}  // namespace entitle::ngx
