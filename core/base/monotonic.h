// Times that only go forward, for leases, time-outs and retries. Where they
// start means nothing; on one machine all processes count from the same start
// (CLOCK_MONOTONIC), so they may be compared across workers.
#pragma once

#include <chrono>
#include <cstdint>

namespace entitle {

using Milliseconds = std::chrono::milliseconds;
using MonoTime =
    std::chrono::time_point<std::chrono::steady_clock, Milliseconds>;

inline MonoTime mono_time(std::int64_t milliseconds) {
  return MonoTime{Milliseconds{milliseconds}};
}

}  // namespace entitle
