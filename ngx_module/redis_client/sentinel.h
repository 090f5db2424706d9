// sentinel://: one node, which is wherever the Sentinels say the primary is.
//
//   search   ask a Sentinel, ask whom it names for its ROLE, then all Sentinels
//            (SENTINEL MASTER): most of them have to say that it is the primary
//            and well (core/redis/sentinel.h). Until then callers wait, for a
//            while.
//   found    callers are served. The Sentinels are asked again three times a
//            lease while anybody asks for the node, and each time most of them
//            agree the node is warranted for one more lease, from when they
//            were asked. Without that it is searched for again: a deposed
//            primary that still answers is not talked to for longer.
//
// A connection that is lost, and READONLY, LOADING or MASTERDOWN in any answer,
// start a search; +switch-master of a Sentinel, too.
//
// Every worker holds a connection to each Sentinel configured, and one more on
// which one of them says when the primary changes.
#pragma once

#include "core/redis/sentinel.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class RedisSentinel final : public RedisTopology,
                            RedisNode::Host,
                            RedisConnection::Owner {
  public:
    explicit RedisSentinel(const MainConf* conf);
    ~RedisSentinel() override {
        shut();
    }
    RedisSentinel(const RedisSentinel&) = delete;
    RedisSentinel& operator=(const RedisSentinel&) = delete;

    // RedisTopology
    RedisNode* node_of(std::string_view key) override;
    RedisNode*
    only_node() override {
        return node_of({});
    }
    std::vector<RedisNode*>
    nodes() override {
        return {&primary_};
    }
    void wanted() override;
    void shut() override;

  private:
    struct Sentinel {
        Sentinel(RedisSentinel* sentinels, std::size_t its_number,
                 RedisHost its_host)
            : all(sentinels), number(its_number), host(std::move(its_host)) {}

        RedisSentinel* all;
        std::size_t number;
        RedisHost host;
        std::unique_ptr<RedisNode> node;
        RedisExchange vote;
        bool voting = false;
    };

    // RedisNode::Host
    bool answered(RedisNode* node, Pending& pending) override;
    void lost(RedisNode* node) override;

    // RedisConnection::Owner, of ear_
    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending>& unanswered,
                RedisStatus status, Ending ending,
                std::string_view why) override;
    bool pushed(RedisConnection* connection, const Reply& reply) override;

    static void on_step(RedisExchange* exchange, RedisStatus status) noexcept;
    static void on_vote(RedisExchange* exchange, RedisStatus status) noexcept;
    template <class F>
    static void guard(RedisSentinel* self, F f) noexcept;

    void search();
    void go_on();
    void ask_sentinel();
    void ask_candidate();
    void take_step(const RedisExchange& exchange, RedisStatus status);
    void begin_vote();
    void take_vote(const Sentinel& sentinel, RedisStatus status);
    void confirmed();
    void vote_failed();
    void listen();
    void tick();
    void keep_up();

    const MainConf* conf_;
    const Milliseconds warrant_;
    std::vector<std::unique_ptr<Sentinel>> sentinels_;
    RedisNode primary_;
    SentinelSearch search_;
    RedisExchange step_;  // of the search: what is asked now
    bool asking_ = false;
    bool searching_ = true;

    std::optional<PrimaryVote> vote_;
    MonoTime vote_sent_{};

    RedisConnection ear_;
    std::size_t ear_at_ = 0;  // a Sentinel

    RedisTimer timer_;
    ngx_msec_t used_at_ = 0;
};

}  // namespace entitle::ngx
