// Putting a few events of one second in order by what each says came before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace entitle {

inline constexpr std::size_t kMaxChain = 8;

// Of n <= kMaxChain things: a bit for each that can be the last of an order of
// all of them, where the first satisfies can_begin(y) and each next one
// can_follow(x, y). 0: there is no such order. Bounded: a table over subsets
// (at most 256 * 8 * 8 steps), not over orders.
template <class CanBegin, class CanFollow>
std::uint8_t chain_ends(std::size_t n, CanBegin can_begin,
                        CanFollow can_follow) {
  // last[set]: those that can be the last once just `set` has happened.
  std::array<std::uint8_t, 1u << kMaxChain> last{};
  std::array<std::uint8_t, kMaxChain> next{};  // next[x]: who can follow x
  for (std::size_t y = 0; y < n; ++y) {
    auto bit = static_cast<std::uint8_t>(1u << y);
    if (can_begin(y)) last[bit] = bit;
    for (std::size_t x = 0; x < n; ++x) {
      if (x != y && can_follow(x, y)) next[x] |= bit;
    }
  }
  for (std::size_t set = 1; set + 1 < (1u << n); ++set) {
    for (std::size_t x = 0; x < n; ++x) {
      if (!(last[set] >> x & 1u)) continue;
      for (std::size_t y = 0; y < n; ++y) {
        auto bit = static_cast<std::uint8_t>(1u << y);
        if (!(set & bit) && (next[x] & bit)) last[set | bit] |= bit;
      }
    }
  }
  return n == 0 ? 0 : last[(1u << n) - 1];
}

}  // namespace entitle
