// The words of docs/redis.md as types: who (User), in which world (Mode) and
// when (UnixTime).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entitle {

using Seconds = std::chrono::seconds;
using UnixTime = std::chrono::sys_seconds;

// "Never ends" for every `until` in this code.
inline constexpr UnixTime kForever = UnixTime::max();

inline UnixTime unix_time(std::int64_t seconds) {
  return UnixTime{Seconds{seconds}};
}
inline std::int64_t to_unix(UnixTime time) {
  return time.time_since_epoch().count();
}

// Whether Stripe could mean this as a point in time: 0 < t < 2^40 seconds, so
// that no sum of times overflows later.
constexpr bool is_time(std::int64_t seconds) {
  return seconds > 0 && seconds < (std::int64_t{1} << 40);
}

// Stripe's two worlds. Their data never meets: the mode is part of every key.
enum class Mode { test, live };

std::string_view name(Mode mode);  // "test", "live"

// The app's own id for a person or tenant (a JWT's `sub`): 1-255 bytes, no
// control bytes (0x00-0x1f, 0x7f). Anything else is not a user.
class User {
 public:
  static std::optional<User> from(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const User&) const = default;

 private:
  explicit User(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace entitle
