// A worker's ear on one node of Redis: a connection on which it says what
// changes (core/redis/invalidation.h), and the lease under which what was read
// there may be believed (core/redis/lease.h), as long as the node is warranted
// (redis_client/node.h).
//
//   down -> connecting -> subscribing -> up -> down ...
//
// Connecting greets, asks who answers (ROLE, INFO server), switches tracking
// on and subscribes. Up, a heartbeat goes out three times a lease while gates
// ask: PING here, and on the data connection a read as fills make it (in a
// Cluster, where a key is of one node only, CLUSTER INFO instead), ROLE and
// INFO server. One that is late, or that finds another instance on the data
// connection than here, closes this one, and it is made anew.
//
// Without it every request asks Redis, nothing else. Where Redis refuses
// (ACL, a version before 6) that is said once, and tried again each minute.
// Timers are cancelable: no worker lives on for this.
#pragma once

#include "core/redis/backoff.h"
#include "core/redis/invalidation.h"
#include "ngx_module/cache/zone.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

// Users of one prefix and mode.
struct RecordSpace {
    std::string name;             // as Zone::hash takes it
    std::string tracking_prefix;  // of their keys
    bool operator==(const RecordSpace&) const = default;
};

// Who is to know what changes.
class RecordListener {
  public:
    virtual void changed(const Hash128& user) noexcept = 0;
    // Any may have.
    virtual void everything_changed() noexcept = 0;
    // Whether changes have to be heard, though no gate asks.
    virtual bool listens() const noexcept = 0;

  protected:
    ~RecordListener() = default;
};

class Tracking final : RedisConnection::Owner, RedisNode::Listener {
  public:
    // Of a node of `redis`. `spaces`: at least one. All of them outlive this.
    Tracking(const MainConf* conf, RedisTopology& redis, RedisNode* node,
             const Zone* zone, const std::vector<RecordSpace>& spaces,
             RecordListener& listener);
    ~Tracking() {
        shut();
    }
    Tracking(const Tracking&) = delete;
    Tracking& operator=(const Tracking&) = delete;

    // A gate asks: whatever is needed to believe the zone is kept up for some
    // time.
    void wanted();

    // `lease`: the asking location's entitle_lease.
    bool believes(const FillStamp& stamp, const Hash128& user,
                  ngx_msec_t lease) const;
    // Whether a read that was sent under this stamp has seen all that was
    // acknowledged, a lease ago at the latest.
    bool covers(const FillStamp& stamp, const Hash128& user,
                ngx_msec_t lease) const;
    // No change is known to have come since, and it was last to be believed
    // less than `age` ago.
    bool believed_lately(const FillStamp& stamp, const Hash128& user,
                         ngx_msec_t lease, Seconds age) const;

    // Every change that is acknowledged from now on will be heard: over which
    // subscription. 0: it may not be.
    std::uint64_t hears() const;

    // Null: the answer must not be stored.
    std::optional<FillStamp> begin_fill(const Hash128& user);

    RedisNode*
    node() const {
        return node_;
    }

    void shut();

  private:
    enum class State { down, connecting, subscribing, up };
    enum class Asked { who, tracking };

    // RedisConnection::Owner
    void connected(RedisConnection* connection) override;
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending>& unanswered,
                RedisStatus status, Ending ending,
                std::string_view why) override;
    bool pushed(RedisConnection* connection, const Reply& reply) override;

    // RedisNode::Listener
    void moved(RedisNode* node, std::string_view why) override;

    static void data_replied(RedisExchange* exchange,
                             RedisStatus status) noexcept;

    void tick();
    void connect();
    void take_who(const std::vector<Reply>& replies);
    void take_tracking(const Reply& reply);
    void refused(const Reply& reply);
    void not_now();
    void subscribed();
    void changed(std::span<const Reply> keys);
    void beat();
    void take_data(const std::vector<Reply>& replies);
    void note_migration(std::span<const Reply> who);
    void note_trust();
    void enter(State state);
    bool late() const;
    Milliseconds heartbeat_pause() const;
    void lost(std::string_view why);
    void drop(std::string_view why);
    Milliseconds shorter_by(ngx_msec_t lease) const;

    std::vector<Command> who() const;
    std::optional<Instance> instance_of(std::span<const Reply> who) const;
    bool holds(ngx_msec_t lease) const;

    const MainConf* conf_;
    RedisTopology& redis_;
    RedisNode* node_;
    const Zone* zone_;
    const std::vector<RecordSpace>& spaces_;
    RecordListener& listener_;
    RedisConnection subscription_;
    RedisTimer timer_;
    Backoff backoff_;
    ngx_msec_t asked_at_ = 0;  // by a gate

    State state_ = State::down;
    ngx_msec_t since_ = 0;  // in this state
    Asked asked_ = Asked::who;
    bool refused_ = false;  // and said so
    std::optional<Instance> instance_;

    Lease lease_;
    RedisExchange data_;         // the heartbeat's other half
    Lease::Beat data_beat_ = 0;  // 0: none is on its way
    std::uint64_t data_generation_ = 0;
    std::uint64_t reads_generation_ = 0;
    std::uint64_t subscriptions_ = 0;  // so far

    bool migrates_ = false;  // of a Cluster: slots are being moved away
    MonoTime unmoved_since_{};

    // The newest subscription, and until when the lease held under it.
    struct Trust {
        std::uint64_t instance = 0;  // 0: there was none yet
        MonoTime start{};
        MonoTime end{};
    } trust_;
};

}  // namespace entitle::ngx
