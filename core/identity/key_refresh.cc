#include "core/identity/key_refresh.h"

namespace entitle {

KeyNeed KeyRefresh::by_age(MonoTime now) const {
  return got_at_ && now - *got_at_ >= kRenewAfter ? KeyNeed::newer
                                                  : KeyNeed::none;
}

KeyRefresh::Step KeyRefresh::step(KeyNeed need, MonoTime now) const {
  if (need == KeyNeed::none) return Step::go_on;
  const bool lately = asked_at_ && now - *asked_at_ < kAskEvery;
  if (!asking_) return lately ? Step::go_on : Step::ask;
  if (!lately) return Step::go_on;
  const bool usable = got_at_ && now - *got_at_ < kLast;
  return need == KeyNeed::newer && usable ? Step::go_on : Step::wait;
}

void KeyRefresh::asked(MonoTime now) {
  asked_at_ = now;
  asking_ = true;
}

void KeyRefresh::answered(bool with_keys, MonoTime now) {
  asking_ = false;
  if (with_keys) got_at_ = now;
}

}  // namespace entitle
