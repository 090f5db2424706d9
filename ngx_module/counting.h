// What is counted (core/report/counters.h), in shared memory of all workers:
// each adds to the row of its number without a lock, and a reload keeps it.
#pragma once

#include "core/report/counters.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// Lives in zeroed shared memory; zeros are its beginning.
struct Counted {
    static constexpr std::size_t kRows = 64;
    static constexpr std::size_t kHolders = 256;

    // How many requests a worker holds: a number that falls again is only
    // right as long as whoever wrote it lives.
    struct Holder {
        std::atomic<std::int64_t> pid;  // 0: nobody's
        std::atomic<std::int64_t> held;
    };
    struct alignas(64) Row {
        SharedTally tally;
    };

    std::atomic<std::uint64_t> layout;
    Hours hours;
    std::array<Holder, kHolders> holders;
    std::array<Row, kRows> rows;
};

// Adds the memory to the cycle; before that each process counts for itself.
ngx_int_t counting_add(ngx_conf_t* cf, MainConf* conf);
Counted* counting_alone();

// This worker's.
inline SharedTally&
tally(const MainConf* conf) {
    return conf->counted->rows[ngx_worker % Counted::kRows].tally;
}
inline SharedTally&
tally(ngx_http_request_t* r) {
    return tally(main_conf(r));
}

// Of all workers.
Totals counted_totals(const MainConf* conf);
// This worker holds so many requests now; and all do.
void note_held(const MainConf* conf, std::size_t held) noexcept;
std::size_t held_by_all(const MainConf* conf);

}  // namespace entitle::ngx
