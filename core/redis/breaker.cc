#include "core/redis/breaker.h"

namespace entitle {

void Breaker::become(State state) {
  state_ = state;
  ++generation_;
  failures_ = 0;
}

std::optional<Breaker::Ticket> Breaker::pass(MonoTime now) {
  if (state_ == State::closed) return generation_;
  if (now < next_) return std::nullopt;
  become(State::half_open);
  next_ = now + policy_.probe_timeout;
  return generation_;
}

void Breaker::succeeded(Ticket ticket) {
  if (ticket != generation_) return;
  failures_ = 0;
  if (state_ == State::closed) return;
  state_ = State::closed;  // its ticket stays good: it is the one that passed
  backoff_.reset();
}

void Breaker::failed(Ticket ticket, MonoTime now, std::uint64_t random) {
  if (ticket != generation_) return;
  if (state_ == State::closed && ++failures_ < policy_.failures) return;
  become(State::open);
  next_ = now + backoff_.next(random);
}

Milliseconds Breaker::wait(MonoTime now) const {
  if (state_ == State::closed || now >= next_) return Milliseconds{0};
  return next_ - now;
}

}  // namespace entitle
