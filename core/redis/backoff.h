// How long to wait before trying again: each time twice as long, up to a
// limit, and never the same for all, so that many workers do not come back at
// once. Chance is a parameter: any 64 random bits.
#pragma once

#include <cstdint>

#include "core/base/monotonic.h"

namespace entitle {

struct BackoffPolicy {
  Milliseconds first{100};
  Milliseconds most{3000};
};

class Backoff {
 public:
  explicit Backoff(const BackoffPolicy& policy = {}) : policy_(policy) {}

  // Between half of the step and the whole step; the step then doubles.
  Milliseconds next(std::uint64_t random);
  void reset() { step_ = Milliseconds{0}; }

 private:
  BackoffPolicy policy_;
  Milliseconds step_{0};
};

}  // namespace entitle
