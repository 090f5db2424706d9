// A circuit breaker in front of one Redis node, so that a hung one costs each
// request microseconds instead of a time-out.
//
//   closed     attempts pass; `failures` in a row open it
//   open       nothing passes until the backoff (with jitter) is over
//   half open  one attempt passes as a probe: if it succeeds the breaker
//              closes, if it fails it opens again for longer
//
// Every attempt that passed reports back with its ticket, once at most:
// succeeded or failed (refused, closed, timed out, LOADING ...). What attempts
// of an earlier state report is ignored: a reply that was on its way when the
// breaker opened says nothing about now. The ticket of the probe that closed it
// stays good: when it fails later, it is heard. A probe that never reports (the
// caller went away) holds up nobody for longer than `probe_timeout`.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/monotonic.h"
#include "core/redis/backoff.h"

namespace entitle {

struct BreakerPolicy {
  unsigned failures = 3;  // >= 1
  BackoffPolicy backoff;
  Milliseconds probe_timeout{2000};
};

class Breaker {
 public:
  enum class State { closed, open, half_open };
  using Ticket = std::uint64_t;

  explicit Breaker(const BreakerPolicy& policy = {})
      : policy_(policy), backoff_(policy.backoff) {}

  // Null: not now.
  std::optional<Ticket> pass(MonoTime now);

  void succeeded(Ticket ticket);
  void failed(Ticket ticket, MonoTime now, std::uint64_t random);

  // Closed, whatever was; nothing that was under way decides anything.
  void reset() {
    become(State::closed);
    backoff_.reset();
  }

  State state() const { return state_; }
  // How long until something may pass, for Retry-After and for the timer of a
  // background probe. Zero: now.
  Milliseconds wait(MonoTime now) const;

 private:
  void become(State state);

  BreakerPolicy policy_;
  Backoff backoff_;
  State state_ = State::closed;
  Ticket generation_ = 0;  // rises when it opens and with every probe
  unsigned failures_ = 0;  // in a row, while closed
  MonoTime next_{};        // open, half open: when the next probe may pass
};

}  // namespace entitle
