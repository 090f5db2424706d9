// Which sessions ended while responses were under way, for all workers of a
// node: who logs out in one browser tells Redis nothing, and the stream he has
// open may be another worker's.
//
//   nginx's slab pool -> data: LiveEndsHeader, a ring of the newest; written
//                        under the pool's mutex, which the master unlocks when
//                        a worker dies
//
// How many were told so far is read without the mutex. A worker that has
// responses under way looks some forty times a second; one that was held up
// for longer than it takes to fill the ring is told so.
#pragma once

#include <cstdint>
#include <vector>

#include "core/crypto/siphash.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

struct LiveEndsHeader;

struct LiveEnd {
    Hash128 user;          // as RecordCache::user_of
    std::uint64_t device;  // that it is bound to; 0: all of the user's
};

// Adds the zone to the cycle. Logs what is wrong.
ngx_int_t live_ends_add(ngx_conf_t* cf, MainConf* conf);

class LiveEnds {
  public:
    explicit LiveEnds(ngx_shm_zone_t* zone)
        : pool_(reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr)) {}

    void tell(const LiveEnd& end);

    // How many were told so far.
    std::uint64_t told() const;
    // Those after the first `seen`, the oldest first; then all told are seen.
    // False: so many that the ring has lost some.
    bool take_after(std::uint64_t& seen, std::vector<LiveEnd>& ends) const;

  private:
    LiveEndsHeader* header() const;

    ngx_slab_pool_t* pool_;
};

}  // namespace entitle::ngx
