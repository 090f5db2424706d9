#include "ngx_module/gate/live_ends.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace entitle::ngx {

namespace {

constexpr std::uint32_t kLayout = 1;
constexpr std::size_t kKept = 1024;
constexpr std::size_t kEndsSize = 128 * 1024;

}  // namespace

struct LiveEndsHeader {
    std::uint32_t layout;
    std::atomic<std::uint64_t> told;
    std::array<LiveEnd, kKept> newest;  // the n-th at n % kKept
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

namespace {

ngx_int_t
ends_init(ngx_shm_zone_t* zone, void* old) noexcept {
    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        const auto* header = static_cast<LiveEndsHeader*>(pool->data);
        if (header == nullptr || header->layout != kLayout) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "entitle: the zone of \"entitle_live\" was laid out "
                          "by another version of the module: restart nginx");
            return NGX_ERROR;
        }
        return NGX_OK;
    }
    void* memory = ngx_slab_calloc(pool, sizeof(LiveEndsHeader));
    if (memory == nullptr) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "entitle: cannot set up the zone of \"entitle_live\"");
        return NGX_ERROR;
    }
    auto* header = new (memory) LiveEndsHeader{};
    header->layout = kLayout;
    pool->data = header;
    return NGX_OK;
}

class Locked {
  public:
    explicit Locked(ngx_slab_pool_t* pool) : pool_(pool) {
        ngx_shmtx_lock(&pool->mutex);
    }
    ~Locked() {
        ngx_shmtx_unlock(&pool_->mutex);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

  private:
    ngx_slab_pool_t* pool_;
};

}  // namespace

ngx_int_t
live_ends_add(ngx_conf_t* cf, MainConf* conf) {
    ngx_str_t name = ngx_string("entitle_live");
    conf->live_ends =
        ngx_shared_memory_add(cf, &name, kEndsSize, &ngx_http_entitle_module);
    if (conf->live_ends == nullptr) {
        return NGX_ERROR;
    }
    conf->live_ends->init = ends_init;
    conf->live_ends->data = conf;
    return NGX_OK;
}

LiveEndsHeader*
LiveEnds::header() const {
    return static_cast<LiveEndsHeader*>(pool_->data);
}

std::uint64_t
LiveEnds::told() const {
    return header()->told.load(std::memory_order_acquire);
}

void
LiveEnds::tell(const LiveEnd& end) {
    const Locked lock(pool_);
    const std::uint64_t told = header()->told.load();
    header()->newest[told % kKept] = end;
    header()->told.store(told + 1, std::memory_order_release);
}

bool
LiveEnds::take_after(std::uint64_t& seen, std::vector<LiveEnd>& ends) const {
    const Locked lock(pool_);
    const std::uint64_t now = told();
    const bool whole = now - seen <= kKept;
    const std::uint64_t from =
        whole ? seen : now - static_cast<std::uint64_t>(kKept);
    ends.reserve(static_cast<std::size_t>(now - from));
    for (std::uint64_t at = from; at < now; at++) {
        ends.push_back(header()->newest[at % kKept]);
    }
    seen = now;
    return whole;
}

}  // namespace entitle::ngx
