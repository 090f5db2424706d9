// Users' records for the gate: from the zone where that may be believed, else
// from Redis, with one read for all requests of a worker that ask for the same
// user at the same time.
//
// A request joins a read that is under way only if that read is known to see
// all that was acknowledged before the request came; else it waits for the
// next one. So nobody is answered with what was true before they asked, except
// inside the lease.
#pragma once

#include <memory>
#include <unordered_map>

#include "ngx_module/cache/tracking.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/redis_client/client.h"
#include "ngx_module/redis_client/exchange.h"

namespace entitle::ngx {

// What one read gave.
struct RecordRead {
    std::optional<Reason> trouble;  // set: nothing else is
    Standing standing;              // whole where `packed` is empty
    std::string packed;
    bool may_be_cached = false;
};

// A read under way, and who waits for it.
struct Fill {
    Fill(RecordCache* its_cache, const Hash128& its_user)
        : cache(its_cache), user(its_user) {}

    RecordCache* cache;
    Hash128 user;
    RedisExchange exchange;
    // Whoever waits has seen that what is near is behind.
    bool of_primary = false;
    bool asks_primary = false;         // so it was sent
    Tracking* tracking = nullptr;      // of the node that is asked
    std::optional<FillStamp> stamp{};  // null: its answer is not stored
    std::uint64_t generation = 0;      // the node's, when it was sent
    int sent = 0;
    std::vector<Gate*> waiting{};
    std::vector<Gate*> late{};  // for the next read
};

class RecordCache {
  public:
    // NGX_OK: gate->packed or gate->standing is identity.user's. NGX_AGAIN:
    // asked, the gate will be woken. NGX_DECLINED: it cannot be told,
    // gate->trouble says why.
    ngx_int_t lookup(ngx_http_request_t* r, Gate* gate);
    void leave(Gate* gate) noexcept;
    void shut();

    Hash128
    user_of(ngx_http_request_t* r, const Gate* gate) const {
        return zone_.hash(*server_conf(r)->audience,
                          gate->identity.user->str());
    }
    std::uint64_t changes_heard() const;

    RecordCache(MainConf* conf, Redis* redis, std::vector<RecordSpace> spaces);
    ~RecordCache() {
        shut();
    }
    RecordCache(const RecordCache&) = delete;
    RecordCache& operator=(const RecordCache&) = delete;

  private:
    struct ByUser {
        std::size_t
        operator()(const Hash128& user) const {
            return user.high;  // the zone's buckets go by the other half
        }
    };

    static void answered(RedisExchange* exchange, RedisStatus status) noexcept;

    void wanted();
    Tracking* tracking_of(RedisNode* node);
    Tracking* tracking_of(ngx_http_request_t* r, const Gate* gate);
    bool believed_lately(ngx_http_request_t* r, const Gate* gate,
                         const Zone::Found& found, const Hash128& user);
    bool give(ngx_http_request_t* r, Gate* gate, std::string_view packed);
    bool join(ngx_http_request_t* r, Gate* gate, const Hash128& user);
    bool send(Fill& fill);
    bool another_may_tell(const Fill& fill, RedisStatus status);
    void take(Fill& fill, RedisStatus status);
    void give_up(Fill& fill) noexcept;
    ngx_int_t use(ngx_http_request_t* r, Gate* gate, const Hash128& user,
                  const RecordRead& read);

    MainConf* conf_;
    RedisTopology& redis_;
    RedisTopology& primaries_;  // the same, unless replicas are read
    std::vector<RecordSpace> spaces_;
    Zone zone_;
    // One a node that was ever read from; those of `listened_` are kept up.
    std::unordered_map<RedisNode*, std::unique_ptr<Tracking>> trackings_;
    std::vector<Tracking*> listened_;
    std::optional<std::uint64_t> revision_;  // of redis_, at listened_
    ngx_msec_t wanted_at_ = 0;
    std::unordered_map<Hash128, std::unique_ptr<Fill>, ByUser> fills_;
};

// The worker exits.
void cache_exit(MainConf* conf) noexcept;

}  // namespace entitle::ngx
