// The worker's Redis client: for each key the node that has it
// (redis_client/topology.h), and holds, with a connection at each node they
// need. Who is served over which connection, and what happens when there
// is none, is the node's affair (redis_client/node.h).
#pragma once

#include "ngx_module/redis_client/topology.h"

namespace entitle::ngx {

class Redis {
  public:
    explicit Redis(const MainConf* conf);
    ~Redis() {
        shut();
    }
    Redis(const Redis&) = delete;
    Redis& operator=(const Redis&) = delete;

    // What is written, and what must be as fresh as that.
    RedisTopology&
    primaries() {
        return *primaries_;
    }
    // What gates read.
    RedisTopology&
    near() {
        return replicas_ ? *replicas_ : *primaries_;
    }

    ngx_int_t send(RedisExchange* exchange);
    ngx_int_t tell(const Command& command);

    // Closes everything; nobody is called back any more.
    void shut();

  private:
    const MainConf* conf_;
    std::unique_ptr<RedisTopology> primaries_;
    std::unique_ptr<RedisTopology> replicas_;  // null: the primaries are read
};

// Made at first use, in the worker: no socket is ever opened in the master or
// in a process that only keeps the cache. Throws std::bad_alloc.
Redis& redis_of(const MainConf* conf);

}  // namespace entitle::ngx
