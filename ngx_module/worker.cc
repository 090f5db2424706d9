#include "ngx_module/worker.h"

#include "ngx_module/nginx.h"

namespace entitle::ngx {

void
Worker::end() noexcept {
    while (!parts_.empty()) {
        parts_.pop_back();
    }
}

std::uint64_t
random_bits() {
    return (static_cast<std::uint64_t>(ngx_random()) << 31) ^
           static_cast<std::uint64_t>(ngx_random());
}

bool
worker_quits() {
    return ngx_exiting || ngx_quit || ngx_terminate;
}

// Of the process: a reload in a single one has two workers for a while, and
// whichever serves has to hear.
static int still_serving = 0;

StillServing::StillServing() noexcept {
    still_serving++;
}

StillServing::~StillServing() {
    still_serving--;
}

bool
worker_is_done() {
    return ngx_terminate || (worker_quits() && still_serving == 0);
}

}  // namespace entitle::ngx
