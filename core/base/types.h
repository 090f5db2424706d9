// The words of docs/redis.md as types: who (User), in which world (Mode), when
// (UnixTime), and what a purchase is known by (Identifier).
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

// Stripe's two worlds. Their data never meets: the mode is part of every key.
enum class Mode { test, live };

std::string_view name(Mode mode);  // "test", "live"

// 0x00-0x1f and 0x7f: never part of a name, an id or a URL of ours.
constexpr bool is_control_byte(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

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

// What a source is known by: `price_...`, `prod_...`, `plink_...`,
// `lookup_key=...`, `feature=...` (entitlement lookup key), `metadata=...` (a
// name in `metadata.entitlements`); of a Connect account `acct_.../` + that.
class Identifier {
 public:
  // The form an operator writes in `entitle_grant`; nothing else is accepted.
  static std::optional<Identifier> parse(std::string_view text);

  // The forms events say. Null where the value is empty, over 255 bytes or
  // has control bytes or commas. `account` is empty outside Connect.
  static std::optional<Identifier> from_stripe_id(std::string_view account,
                                                  std::string_view id);
  static std::optional<Identifier> lookup_key(std::string_view account,
                                              std::string_view value);
  static std::optional<Identifier> feature(std::string_view account,
                                           std::string_view value);
  static std::optional<Identifier> metadata(std::string_view account,
                                            std::string_view value);

  const std::string& str() const { return text_; }
  auto operator<=>(const Identifier&) const = default;

 private:
  explicit Identifier(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace entitle
