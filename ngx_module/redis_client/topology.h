// Who serves what: one implementation for each way to reach Redis
// (entitle_redis, entitle_redis_read).
#pragma once

#include "ngx_module/redis_client/node.h"

namespace entitle::ngx {

class RedisTopology {
  public:
    virtual ~RedisTopology() = default;

    // Who has this key now. Null: nobody is known to.
    virtual RedisNode* node_of(std::string_view key) = 0;

    // The one node there is, whatever the key; null: it depends.
    virtual RedisNode*
    only_node() {
        return nullptr;
    }
    virtual bool
    is_cluster() const {
        return false;
    }

    // Everyone a record may be read from now; each is to be listened to.
    virtual std::vector<RedisNode*> nodes() = 0;
    // Another number where nodes() may say something else.
    virtual std::uint64_t
    revision() const {
        return 0;
    }

    // Whatever is needed to warrant the nodes is kept up for some time.
    virtual void
    wanted() {}

    // A node says that all it had is gone; it may have other data now.
    virtual void
    emptied(RedisNode*) {}

    virtual void shut() = 0;
};

// For how long a node is warranted: as long as a record is believed. Of
// sentinel://, cluster:// and replicas alike.
Milliseconds warrant_time(const MainConf* conf);

// sentinel://
std::unique_ptr<RedisTopology> make_sentinel(const MainConf* conf);
// cluster://
std::unique_ptr<RedisTopology> make_cluster(const MainConf* conf);
// entitle_redis_read; `primaries` has one node, and outlives it.
std::unique_ptr<RedisTopology> make_replicas(const MainConf* conf,
                                             RedisTopology& primaries);

}  // namespace entitle::ngx
