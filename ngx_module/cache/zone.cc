#include "ngx_module/cache/zone.h"

#include <openssl/rand.h>

#include <algorithm>
#include <bit>

namespace entitle::ngx {

// In shared memory: plain data, and pointers into the zone itself, which is
// mapped at one address in every process.

struct ZoneEntry {
    ngx_queue_t recent;
    ZoneEntry* next;  // in its bucket
    Hash128 user;
    FillStamp stamp;
    std::uint32_t size;  // of what follows: the packed record
};

struct ZoneHeader {
    // Written when the zone is made and never again: read without the lock.
    std::uint32_t layout;
    std::uint32_t writing;  // (this one under the lock)
    SipKey key;
    std::size_t n_numbers;  // FillNumbers::Word, right behind this; atomic
    std::size_t n_buckets;  // a power of two
    ngx_slab_pool_t* entries;

    // Under the lock; made anew after a worker died in here.
    ngx_queue_t recent;   // of ZoneEntry; the newest first
    ZoneEntry** buckets;  // in `entries`, as is every ZoneEntry
};

namespace {

constexpr std::uint32_t kLayout = 2;
// An entry of an ordinary user takes 256 bytes.
constexpr std::size_t kBytesPerBucket = 256;
constexpr std::size_t kBytesPerNumber = 2048;
constexpr std::size_t kMostEvicted = 64;

static_assert(sizeof(ZoneHeader) % alignof(FillNumbers::Word) == 0);

FillNumbers::Word*
numbers_of(ZoneHeader* header) {
    return reinterpret_cast<FillNumbers::Word*>(header + 1);
}

ZoneEntry*&
bucket_of(ZoneHeader* header, const Hash128& user) {
    return header->buckets[user.low & (header->n_buckets - 1)];
}

char*
bytes_of(ZoneEntry* entry) {
    return reinterpret_cast<char*>(entry + 1);
}

// --- making it --------------------------------------------------------------

// The pool of entries, and what finds them in it. False: too small.
bool
make_empty(ZoneHeader* header) {
    ngx_slab_pool_t* entries = header->entries;
    ngx_slab_init(entries);
    entries->log_nomem = 0;  // being full is what a cache is for
    ngx_queue_init(&header->recent);
    header->buckets = static_cast<ZoneEntry**>(ngx_slab_calloc_locked(
        entries, header->n_buckets * sizeof(ZoneEntry*)));
    return header->buckets != nullptr;
}

// In a fresh pool: the header, and one piece of all that is left, which is a
// slab pool again. Null: too small.
ZoneHeader*
make_header(ngx_slab_pool_t* pool, std::size_t zone) {
    const std::size_t numbers = std::bit_floor(
        std::clamp<std::size_t>(zone / kBytesPerNumber, 64, 1 << 16));
    auto* header = static_cast<ZoneHeader*>(ngx_slab_calloc_locked(
        pool, sizeof(ZoneHeader) + numbers * sizeof(FillNumbers::Word)));
    if (header == nullptr) {
        return nullptr;
    }
    header->layout = kLayout;
    header->n_numbers = numbers;
    header->n_buckets = std::bit_floor(zone / kBytesPerBucket);
    const std::size_t left = pool->pfree * ngx_pagesize;
    auto* rest = static_cast<u_char*>(ngx_slab_alloc_locked(pool, left));
    if (rest == nullptr) {
        return nullptr;
    }
    header->entries = reinterpret_cast<ngx_slab_pool_t*>(rest);
    header->entries->min_shift = pool->min_shift;
    header->entries->addr = rest;
    header->entries->end = rest + left;
    return make_empty(header) ? header : nullptr;
}

ngx_int_t
zone_init(ngx_shm_zone_t* zone, void* old) noexcept {
    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        auto* header = static_cast<ZoneHeader*>(pool->data);
        if (header == nullptr || header->layout != kLayout) {
            ngx_log_error(
                NGX_LOG_EMERG, zone->shm.log, 0,
                "entitle: the zone of \"entitle_zone\" was laid out by "
                "another version of the module: change its size, or "
                "restart nginx");
            return NGX_ERROR;
        }
        return NGX_OK;
    }

    ZoneHeader* header = make_header(pool, zone->shm.size);
    std::array<std::uint8_t, 16> key;
    if (header == nullptr || RAND_bytes(key.data(), key.size()) != 1) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "entitle: cannot set up the zone of \"entitle_zone\"");
        return NGX_ERROR;
    }
    header->key = SipKey::from(key);
    pool->data = header;
    return NGX_OK;
}

// --- changing it ------------------------------------------------------------

// The zone's mutex, and a zone that is whole.
class Locked {
  public:
    explicit Locked(ngx_slab_pool_t* pool) : pool_(pool) {
        ngx_shmtx_lock(&pool->mutex);
        if (header()->writing) {
            rebuild();
        }
        header()->writing = 1;
        ngx_memory_barrier();
    }
    ~Locked() {
        ngx_memory_barrier();
        header()->writing = 0;
        ngx_shmtx_unlock(&pool_->mutex);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

    ZoneHeader*
    header() const {
        return static_cast<ZoneHeader*>(pool_->data);
    }

    ZoneEntry*
    find(const Hash128& user) const {
        ZoneEntry* entry = bucket_of(header(), user);
        while (entry != nullptr && entry->user != user) {
            entry = entry->next;
        }
        return entry;
    }

    void
    touch(ZoneEntry* entry) const {
        ngx_queue_remove(&entry->recent);
        ngx_queue_insert_head(&header()->recent, &entry->recent);
    }

    void
    remove(ZoneEntry* entry) const {
        ZoneEntry** link = &bucket_of(header(), entry->user);
        while (*link != entry) {
            link = &(*link)->next;
        }
        *link = entry->next;
        ngx_queue_remove(&entry->recent);
        ngx_slab_free_locked(header()->entries, entry);
    }

    // Null: no room now. Room for one may cost several of another size, a
    // bounded number each time.
    ZoneEntry*
    add(const Hash128& user, std::size_t size) const {
        void* memory = nullptr;
        for (std::size_t evicted = 0; evicted <= kMostEvicted; evicted++) {
            memory = ngx_slab_alloc_locked(header()->entries,
                                           sizeof(ZoneEntry) + size);
            if (memory != nullptr || ngx_queue_empty(&header()->recent)) {
                break;
            }
            remove(ngx_queue_data(ngx_queue_last(&header()->recent), ZoneEntry,
                                  recent));
        }
        if (memory == nullptr) {
            return nullptr;
        }
        auto* entry = static_cast<ZoneEntry*>(memory);
        ZoneEntry*& bucket = bucket_of(header(), user);
        entry->user = user;
        entry->next = bucket;
        bucket = entry;
        ngx_queue_insert_head(&header()->recent, &entry->recent);
        return entry;
    }

  private:
    void
    rebuild() const {
        make_empty(header());  // there was room for it
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: a worker died while it wrote to the zone; the "
                      "zone starts empty");
    }

    ngx_slab_pool_t* pool_;
};

}  // namespace

ngx_int_t
zone_add(ngx_conf_t* cf, MainConf* conf) {
    ngx_str_t name = ngx_string("entitle");
    conf->zone = ngx_shared_memory_add(cf, &name, conf->zone_size,
                                       &ngx_http_entitle_module);
    if (conf->zone == nullptr) {
        return NGX_ERROR;
    }
    conf->zone->init = zone_init;
    conf->zone->data = conf;
    return NGX_OK;
}

std::size_t
zone_free(const ngx_shm_zone_t* zone) {
    const auto* pool = reinterpret_cast<const ngx_slab_pool_t*>(zone->shm.addr);
    return static_cast<const ZoneHeader*>(pool->data)->entries->pfree *
           ngx_pagesize;
}

ZoneHeader*
Zone::header() const {
    return static_cast<ZoneHeader*>(pool_->data);
}

Hash128
Zone::hash(std::string_view space, std::string_view user) const {
    SipHasher hasher(header()->key);
    hasher.add(space);
    hasher.add(user);
    return hasher.finish();
}

FillNumbers
Zone::numbers() const {
    return {numbers_of(header()), header()->n_numbers};
}

std::optional<Zone::Found>
Zone::find(const Hash128& user) {
    const Locked zone(pool_);
    ZoneEntry* entry = zone.find(user);
    if (entry == nullptr) {
        return std::nullopt;
    }
    zone.touch(entry);
    ngx_memcpy(copy_.data(), bytes_of(entry), entry->size);
    return Found{entry->stamp, {copy_.data(), entry->size}};
}

void
Zone::store(const Hash128& user, const FillStamp& stamp,
            std::string_view packed) {
    const Locked zone(pool_);
    ZoneEntry* entry = zone.find(user);
    if (entry != nullptr && entry->size != packed.size()) {
        zone.remove(entry);
        entry = nullptr;
    }
    if (entry == nullptr) {
        entry = zone.add(user, packed.size());
    } else {
        zone.touch(entry);
    }
    if (entry != nullptr) {
        entry->stamp = stamp;
        entry->size = static_cast<std::uint32_t>(packed.size());
        ngx_memcpy(bytes_of(entry), packed.data(), packed.size());
    }
}

}  // namespace entitle::ngx
