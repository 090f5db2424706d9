// When keys that are fetched over the network are asked for (again): often
// enough that a rotated key is known in seconds, and never as often as a
// stranger with made-up tokens would like.
//
//   - keys are asked for anew when they are 12 minutes old; from 15 minutes on
//     nobody goes on with them until that was tried
//   - a token no key is known for asks for newer keys
//   - one question at a time, and one in 5 seconds
//   - nobody waits for longer than 5 seconds
//   - keys stay good for use when asking fails: that is for the caller, who
//     keeps them; here only their age is known
//
// One per set of keys. Pure: times are parameters.
#pragma once

#include <chrono>
#include <optional>

#include "core/base/monotonic.h"

namespace entitle {

// Why a request would like other keys than those there are.
enum class KeyNeed { none, newer, missing };

class KeyRefresh {
 public:
  static constexpr Milliseconds kRenewAfter = std::chrono::minutes(12);
  static constexpr Milliseconds kLast = std::chrono::minutes(15);
  static constexpr Milliseconds kAskEvery = std::chrono::seconds(5);

  // Of a request whose token was verified by these keys: newer or none.
  KeyNeed by_age(MonoTime now) const;

  // `ask` is followed by asked(); the step after that says whether whoever
  // asked waits, too.
  enum class Step { go_on, wait, ask };
  Step step(KeyNeed need, MonoTime now) const;

  void asked(MonoTime now);
  void answered(bool with_keys, MonoTime now);

 private:
  std::optional<MonoTime> got_at_;    // null: no keys
  std::optional<MonoTime> asked_at_;  // null: never
  bool asking_ = false;
};

}  // namespace entitle
