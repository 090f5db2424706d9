#include "core/redis/backoff.h"

#include <algorithm>

namespace entitle {

Milliseconds Backoff::next(std::uint64_t random) {
  Milliseconds doubled = step_ > policy_.most / 2 ? policy_.most : step_ * 2;
  step_ =
      std::clamp(doubled, std::min(policy_.first, policy_.most), policy_.most);
  std::int64_t least = step_.count() - step_.count() / 2;
  auto choices = static_cast<std::uint64_t>(step_.count() - least) + 1;
  return Milliseconds{least + static_cast<std::int64_t>(random % choices)};
}

}  // namespace entitle
