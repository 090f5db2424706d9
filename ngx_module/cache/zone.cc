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
    std::uint32_t layout;
    std::uint32_t writing;
    SipKey key;
    ngx_queue_t recent;     // of ZoneEntry; the newest first
    std::size_t n_numbers;  // FillNumbers::Word, right behind this
    std::size_t n_buckets;  // ZoneEntry*, behind those; a power of two
};

namespace {

constexpr std::uint32_t kLayout = 1;
// An entry of an ordinary user takes 256 bytes.
constexpr std::size_t kBytesPerBucket = 256;
constexpr std::size_t kBytesPerNumber = 2048;
constexpr std::size_t kMostEvicted = 64;

static_assert(sizeof(ZoneHeader) % alignof(ZoneEntry*) == 0);

FillNumbers::Word*
numbers_of(ZoneHeader* header) {
    return reinterpret_cast<FillNumbers::Word*>(header + 1);
}

std::span<ZoneEntry*>
buckets_of(ZoneHeader* header) {
    return {
        reinterpret_cast<ZoneEntry**>(numbers_of(header) + header->n_numbers),
        header->n_buckets};
}

ZoneEntry*&
bucket_of(ZoneHeader* header, const Hash128& user) {
    return buckets_of(header)[user.low & (header->n_buckets - 1)];
}

char*
bytes_of(ZoneEntry* entry) {
    return reinterpret_cast<char*>(entry + 1);
}

// --- making it --------------------------------------------------------------

struct Shape {
    std::size_t numbers;
    std::size_t buckets;
    std::size_t
    size() const {
        return sizeof(ZoneHeader) + numbers * sizeof(FillNumbers::Word) +
               buckets * sizeof(ZoneEntry*);
    }
};

Shape
shape_of(std::size_t zone) {
    // Both even: what follows is aligned.
    return {std::bit_floor(
                std::clamp<std::size_t>(zone / kBytesPerNumber, 64, 1 << 16)),
            std::bit_floor(zone / kBytesPerBucket)};
}

// In fresh memory of zeros. Null: too small.
ZoneHeader*
make_header(ngx_slab_pool_t* pool, const Shape& shape) {
    auto* header =
        static_cast<ZoneHeader*>(ngx_slab_calloc_locked(pool, shape.size()));
    if (header == nullptr) {
        return nullptr;
    }
    header->layout = kLayout;
    header->n_numbers = shape.numbers;
    header->n_buckets = shape.buckets;
    ngx_queue_init(&header->recent);
    pool->data = header;
    return header;
}

ngx_int_t
zone_init(ngx_shm_zone_t* zone, void* old) noexcept {
    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        auto* header = static_cast<ZoneHeader*>(pool->data);
        if (header == nullptr || header->layout != kLayout) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "the zone of \"entitle_zone\" was laid out by "
                          "another version of the module: change its size, or "
                          "restart nginx");
            return NGX_ERROR;
        }
        return NGX_OK;
    }

    ZoneHeader* header = make_header(pool, shape_of(zone->shm.size));
    std::array<std::uint8_t, 16> key;
    if (header == nullptr || RAND_bytes(key.data(), key.size()) != 1) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "cannot set up the zone of \"entitle_zone\"");
        return NGX_ERROR;
    }
    header->key = SipKey::from(key);
    pool->log_nomem = 0;  // being full is what a cache is for
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
        ngx_slab_free_locked(pool_, entry);
    }

    // Null: no room now. Room for one may cost several of another size, a
    // bounded number each time.
    ZoneEntry*
    add(const Hash128& user, std::size_t size) const {
        void* memory = nullptr;
        for (std::size_t evicted = 0; evicted <= kMostEvicted; evicted++) {
            memory = ngx_slab_alloc_locked(pool_, sizeof(ZoneEntry) + size);
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
    // The first allocation of an empty pool is always the same pages, so the
    // header stays where it was: the other workers' numbers with it.
    void
    rebuild() const {
        const Shape shape{header()->n_numbers, header()->n_buckets};
        const SipKey key = header()->key;
        const std::uint32_t everything = numbers_of(header())[0].load();
        ngx_slab_init(pool_);
        pool_->log_nomem = 0;
        make_header(pool_, shape)->key = key;
        // The others start over; this one makes every sum another than any
        // that a fill may have noted.
        numbers_of(header())[0] = everything + (1u << 31);
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
