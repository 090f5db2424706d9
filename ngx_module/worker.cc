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

}  // namespace entitle::ngx
