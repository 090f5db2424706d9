#include "ngx_module/counting.h"

#include <signal.h>

#include <cerrno>

namespace entitle::ngx {

namespace {

// Another one where the parts change, so that a reload takes over no memory
// that means something else.
constexpr std::uint64_t kLayout = sizeof(Counted);

bool
lives(std::int64_t pid) {
    return kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

// This process'. Null: there are too many.
Counted::Holder*
holder_here(Counted& counted) noexcept {
    const std::int64_t mine = ngx_pid;
    for (std::size_t i = 0; i < Counted::kHolders; i++) {
        Counted::Holder& holder =
            counted.holders[(static_cast<std::size_t>(mine) + i) %
                            Counted::kHolders];
        std::int64_t whose = holder.pid.load();
        if (whose == mine) {
            return &holder;
        }
        if ((whose == 0 || !lives(whose)) &&
            holder.pid.compare_exchange_strong(whose, mine)) {
            holder.held.store(0);
            return &holder;
        }
    }
    return nullptr;
}

ngx_int_t
counting_init(ngx_shm_zone_t* zone, void* old) noexcept {
    auto* conf = static_cast<MainConf*>(zone->data);
    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
    const bool is_new = old == nullptr && !zone->shm.exists;
    if (is_new) {
        pool->data = ngx_slab_calloc(pool, sizeof(Counted));
        if (pool->data == nullptr) {
            return NGX_ERROR;
        }
        static_cast<Counted*>(pool->data)->layout.store(kLayout);
    }
    auto* counted = static_cast<Counted*>(pool->data);
    if (counted != nullptr && counted->layout.load() == kLayout) {
        conf->counted = counted;
    } else {
        ngx_log_error(NGX_LOG_WARN, zone->shm.log, 0,
                      "entitle: what was counted so far was laid out by "
                      "another version of the module: until nginx is "
                      "restarted each process counts for itself");
    }
    return NGX_OK;
}

}  // namespace

Counted*
counting_alone() {
    static Counted alone{};
    return &alone;
}

ngx_int_t
counting_add(ngx_conf_t* cf, MainConf* conf) {
    // The pool's own pages, and some to spare.
    const std::size_t size = ngx_align(sizeof(Counted), ngx_pagesize) +
                             16 * static_cast<std::size_t>(ngx_pagesize);
    ngx_str_t name = ngx_string("entitle_counted");
    ngx_shm_zone_t* zone =
        ngx_shared_memory_add(cf, &name, size, &ngx_http_entitle_module);
    if (zone == nullptr) {
        return NGX_ERROR;
    }
    zone->init = counting_init;
    zone->data = conf;
    return NGX_OK;
}

Totals
counted_totals(const MainConf* conf) {
    Totals totals{};
    for (const Counted::Row& row : conf->counted->rows) {
        add(totals, row.tally);
    }
    return totals;
}

void
note_held(const MainConf* conf, std::size_t held) noexcept {
    if (Counted::Holder* holder = holder_here(*conf->counted)) {
        holder->held.store(static_cast<std::int64_t>(held));
    }
}

std::size_t
held_by_all(const MainConf* conf) {
    std::size_t sum = 0;
    for (const Counted::Holder& holder : conf->counted->holders) {
        const std::int64_t pid = holder.pid.load();
        if (pid != 0 && lives(pid)) {
            sum += static_cast<std::size_t>(holder.held.load());
        }
    }
    return sum;
}

}  // namespace entitle::ngx
