#include "ngx_module/redis_client/client.h"

#include "ngx_module/edge.h"
#include "ngx_module/redis_client/legs.h"

namespace entitle::ngx {
namespace {

// One server, wherever its name leads: no question who has a key.
class SingleServer final : public RedisTopology {
  public:
    explicit SingleServer(const MainConf* conf)
        : node_(conf, RedisNode::Kind::fixed, conf->redis_endpoints->front(),
                std::string(view(conf->redis)), nullptr) {}

    RedisNode*
    node_of(std::string_view) override {
        return &node_;
    }
    RedisNode*
    only_node() override {
        return &node_;
    }
    std::vector<RedisNode*>
    nodes() override {
        return {&node_};
    }
    void
    shut() override {
        node_.shut();
    }

  private:
    RedisNode node_;
};

std::unique_ptr<RedisTopology>
make_topology(const MainConf* conf) {
    switch (conf->redis_address->kind) {
        case RedisAddress::Kind::sentinel:
            return make_sentinel(conf);
        case RedisAddress::Kind::cluster:
            return make_cluster(conf);
        default:
            return std::make_unique<SingleServer>(conf);
    }
}

// An exchange whose commands are about keys of several nodes, each sent to its
// own.
struct Scattered {
    explicit Scattered(std::size_t size) : parts(size) {}

    Pending whole;
    std::vector<RedisExchange> parts;
    std::size_t missing = 0;
};

void
gather(RedisExchange* part, RedisStatus status) noexcept {
    auto* scattered = static_cast<Scattered*>(part->data);
    if (status != RedisStatus::ok) {
        scattered->whole->status = status;
    }
    if (--scattered->missing != 0) {
        return;
    }
    Pending whole = std::move(scattered->whole);
    for (RedisExchange& answered : scattered->parts) {
        whole->replies.push_back(answered.replies.empty()
                                     ? Reply{}
                                     : std::move(answered.replies.front()));
    }
    delete scattered;
    deliver(std::move(whole));
}

ngx_int_t
scatter(const MainConf& conf, RedisTopology& topology,
        RedisExchange* exchange) {
    auto scattered = std::make_unique<Scattered>(exchange->commands.size());
    scattered->whole = make_pending(conf, exchange, {});
    scattered->whole->replies.reserve(exchange->commands.size());
    for (std::size_t i = 0; i < scattered->parts.size(); i++) {
        RedisExchange& part = scattered->parts[i];
        part.commands = {exchange->commands[i]};
        part.done = gather;
        part.data = scattered.get();
        RedisNode* node = topology.node_of(exchange->commands[i][1]);
        if (node != nullptr &&
            node->send(make_pending(conf, &part, part.commands)) == NGX_OK) {
            scattered->missing++;
        } else {
            redis_cancel(&part);
            scattered->whole->status = RedisStatus::unavailable;
        }
    }
    if (scattered->missing == 0) {
        return NGX_ERROR;
    }
    scattered.release();
    return NGX_OK;
}

template <class F>
ngx_int_t
at_the_edge(F f) noexcept {
    return edge::answer("redis client", f);
}

void
hold_is_late(void* data) noexcept {
    auto* hold = static_cast<RedisHold*>(data);
    redis_release(hold);
    hold->acquired(hold, RedisStatus::timed_out);
}

}  // namespace

// Where nothing is gated there is no lease to take it from.
Milliseconds
warrant_time(const MainConf* conf) {
    constexpr ngx_msec_t kNothingGated = 5000;
    return Milliseconds{static_cast<std::int64_t>(
        conf->greatest_lease != 0 ? conf->greatest_lease : kNothingGated)};
}

Redis::Redis(const MainConf* conf)
    : conf_(conf),
      primaries_(make_topology(conf)),
      replicas_(conf->redis_read == nullptr
                    ? nullptr
                    : make_replicas(conf, *primaries_)) {}

ngx_int_t
Redis::send(RedisExchange* exchange) {
    if (exchange->key.empty()) {
        if (exchange->commands.size() > 1 && primaries_->is_cluster()) {
            return scatter(*conf_, *primaries_, exchange);
        }
        exchange->key = exchange->commands.front()[1];
    }
    RedisNode* node = primaries_->node_of(exchange->key);
    return node == nullptr
               ? NGX_ERROR
               : node->send(make_pending(*conf_, exchange, exchange->commands));
}

ngx_int_t
Redis::tell(const Command& command) {
    RedisNode* node = primaries_->node_of(command[1]);
    return node == nullptr ? NGX_ERROR
                           : node->send(make_pending({&command, 1}));
}

void
Redis::shut() {
    if (replicas_) {
        replicas_->shut();
    }
    primaries_->shut();
}

// --- the interface -----------------------------------------------------------

bool
redis_has_one_server(const MainConf* conf) {
    return !redis_of(conf).primaries().is_cluster();
}

Redis&
redis_of(const MainConf* conf) {
    Redis* redis = conf->worker->find<Redis>();
    return redis != nullptr ? *redis : conf->worker->make<Redis>(conf);
}

ngx_int_t
redis_send(const MainConf* conf, RedisExchange* exchange) noexcept {
    const ngx_int_t rc =
        at_the_edge([=] { return redis_of(conf).send(exchange); });
    if (rc != NGX_OK) {
        redis_cancel(exchange);
    }
    return rc;
}

void
redis_tell(const MainConf* conf, const Command& command) noexcept {
    at_the_edge([&] { return redis_of(conf).tell(command); });
}

ngx_int_t
redis_acquire(const MainConf* conf, RedisHold* hold) noexcept {
    return at_the_edge([=]() -> ngx_int_t {
        auto legs = std::make_unique<RedisLegs>(
            *conf, redis_of(conf).primaries(), hold);
        if (legs->begin() != NGX_OK) {
            return NGX_ERROR;
        }
        hold->legs = legs.release();
        hold->deadline.arm(
            static_cast<ngx_msec_t>(PoolPolicy{}.patience.count()) +
                exchange_time(*conf),
            hold_is_late, hold);
        return NGX_OK;
    });
}

ngx_int_t
redis_hold_send(RedisHold* hold, RedisExchange* exchange) noexcept {
    const ngx_int_t rc = at_the_edge([=]() -> ngx_int_t {
        auto* legs = static_cast<RedisLegs*>(hold->legs);
        return legs == nullptr ? NGX_ERROR : legs->send(exchange);
    });
    if (rc != NGX_OK) {
        redis_cancel(exchange);
    }
    return rc;
}

void
redis_distrust(RedisHold* hold) noexcept {
    if (hold->legs != nullptr) {
        static_cast<RedisLegs*>(hold->legs)->distrust();
    }
}

void
redis_release(RedisHold* hold) noexcept {
    hold->deadline.disarm();
    delete static_cast<RedisLegs*>(std::exchange(hold->legs, nullptr));
}

}  // namespace entitle::ngx
