// Numbers that only ever rise, as Redis has them: whoever may write there may
// have written the greatest there is.
#pragma once

#include <cstdint>
#include <limits>

namespace entitle {

constexpr bool may_rise(std::int64_t number) {
  return number < std::numeric_limits<std::int64_t>::max();
}

constexpr std::int64_t risen(std::int64_t number) {
  return may_rise(number) ? number + 1 : number;
}

}  // namespace entitle
