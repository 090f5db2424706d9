#include "core/redis/lease.h"

#include <algorithm>
#include <utility>

#include "core/crypto/siphash.h"

namespace entitle {

std::uint64_t Instance::tag() const {
  // Not secret, only to be the same in every worker.
  SipHasher hasher(SipKey{});
  hasher.add(address);
  hasher.add(run_id);
  hasher.add(primary ? "primary" : "replica");
  hasher.add(std::to_string(epoch));
  std::uint64_t tag = hasher.finish().low;
  return tag != 0 ? tag : 1;
}

void Lease::subscribed(const Instance& instance, MonoTime now) {
  lost();
  instance_ = instance;
  tag_ = instance.tag();
  start_ = now;
  end_ = now;
}

void Lease::lost() {
  instance_.reset();
  tag_ = 0;
  end_ = MonoTime{};
  sent_.fill({});
}

void Lease::reads_from(std::optional<Instance> instance) {
  reads_from_ = std::move(instance);
}

Lease::Beat Lease::beat(MonoTime now, MonoTime limit) {
  Sent* oldest = &*std::min_element(
      sent_.begin(), sent_.end(),
      [](const Sent& a, const Sent& b) { return a.beat < b.beat; });
  *oldest = {++last_, now, limit, parts_};
  return last_;
}

void Lease::answered(Beat beat, Part part) {
  if (!instance_) return;
  auto sent = std::find_if(sent_.begin(), sent_.end(),
                           [&](const Sent& s) { return s.beat == beat; });
  if (beat == 0 || sent == sent_.end()) return;
  sent->missing &= ~static_cast<unsigned>(part);
  if (sent->missing != 0) return;
  end_ = std::max(end_, std::min(sent->at + length_, sent->limit));
  *sent = {};
}

bool Lease::data_replied(Beat beat, const Instance& instance) {
  if (!instance_) return false;
  reads_from_ = instance;
  if (instance != *instance_) {
    lost();
    return false;
  }
  answered(beat, data);
  return true;
}

std::optional<MonoTime> Lease::waiting_since() const {
  std::optional<MonoTime> oldest;
  for (const Sent& sent : sent_) {
    if (sent.beat != 0) oldest = std::min(oldest.value_or(sent.at), sent.at);
  }
  return oldest;
}

bool Lease::holds(MonoTime now) const { return instance_ && now < end_; }

std::optional<FillStamp> Lease::begin_fill(const FillNumbers& numbers,
                                           std::uint64_t user_hash,
                                           MonoTime now) const {
  if (!instance_ || reads_from_ != instance_) return std::nullopt;
  return FillStamp{now.time_since_epoch().count(), tag_, numbers.of(user_hash)};
}

bool Lease::may_store(const FillStamp& stamp, const FillNumbers& numbers,
                      std::uint64_t user_hash) {
  return stamp.instance != 0 && !is_outdated(stamp, numbers, user_hash);
}

bool Lease::may_believe(const FillStamp& stamp, const FillNumbers& numbers,
                        std::uint64_t user_hash, MonoTime now) const {
  return holds(now) && stamp.instance == tag_ &&
         start_ < mono_time(stamp.began) &&
         !is_outdated(stamp, numbers, user_hash);
}

bool Lease::is_outdated(const FillStamp& stamp, const FillNumbers& numbers,
                        std::uint64_t user_hash) {
  return stamp.number != numbers.of(user_hash);
}

}  // namespace entitle
