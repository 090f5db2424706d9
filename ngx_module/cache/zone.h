// The shared zone (entitle_zone): users' packed records
// (core/access/packed_record.h), by user, and the numbers that say which of
// them were overtaken by a change (core/redis/lease.h). A cache: nothing
// depends on what is found here, a full zone drops what was not asked for
// longest, and whatever fails is a miss.
//
//   nginx's slab pool -> data: ZoneHeader, in one piece with numbers[]
//                        and a second slab pool, in all that is left:
//                        buckets[]  chains of ZoneEntry, by hash
//                        ZoneEntry  header and packed bytes, one slab chunk;
//                                   also in the queue of the most recent
//
// Only the mutex of nginx's pool is used: the master unlocks it when a worker
// dies. Whoever changes the zone says so first (`writing`); who finds it said
// under the mutex knows that somebody died in the middle, and makes the second
// pool anew. What is read without the mutex (shape, key, numbers) is no part
// of that: it stays where and as it is while others use it.
//
// Who an entry is of is a keyed 128-bit hash of prefix, mode and user. The key
// is made with the zone and the same in every worker.
#pragma once

#include "core/access/packed_record.h"
#include "core/crypto/siphash.h"
#include "core/redis/lease.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

struct ZoneHeader;

// Adds the zone to the cycle. Logs what is wrong.
ngx_int_t zone_add(ngx_conf_t* cf, MainConf* conf);
// Bytes of it that nothing is in.
std::size_t zone_free(const ngx_shm_zone_t* zone);

// A worker's view of the zone.
class Zone {
  public:
    explicit Zone(ngx_shm_zone_t* zone)
        : pool_(reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr)) {}

    // `space`: prefix and mode; ServerConf::audience.
    Hash128 hash(std::string_view space, std::string_view user) const;
    FillNumbers numbers() const;

    struct Found {
        FillStamp stamp;
        std::string_view packed;  // until the next call of find()
    };
    std::optional<Found> find(const Hash128& user);

    // Replaces what is there.
    void store(const Hash128& user, const FillStamp& stamp,
               std::string_view packed);

  private:
    ZoneHeader* header() const;

    ngx_slab_pool_t* pool_;
    std::array<char, kMaxPackedBytes> copy_;
};

}  // namespace entitle::ngx
