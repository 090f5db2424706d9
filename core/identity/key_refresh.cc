#include "core/identity/key_refresh.h"

namespace entitle {

KeyNeed KeyRefresh::by_age(MonoTime now) const {
  return got_at_ && now - *got_at_ >= kRenewAfter ? KeyNeed::newer
                                                  : KeyNeed::none;
}

bool KeyRefresh::may_ask(MonoTime now) const {
  return !first_asked_at_ || now - *first_asked_at_ >= kAskEvery ||
         asks_ < kMostAsks;
}

KeyRefresh::Step KeyRefresh::step(KeyNeed need, MonoTime now) const {
  if (need == KeyNeed::none) return Step::go_on;
  if (!asking_) return may_ask(now) ? Step::ask : Step::go_on;
  if (now - *first_asked_at_ >= kAskEvery) return Step::go_on;
  bool usable = got_at_ && now - *got_at_ < kLast;
  return need == KeyNeed::newer && usable ? Step::go_on : Step::wait;
}

void KeyRefresh::asked(MonoTime now) {
  if (!first_asked_at_ || now - *first_asked_at_ >= kAskEvery) {
    first_asked_at_ = now;
    asks_ = 0;
  }
  asks_++;
  asking_ = true;
}

void KeyRefresh::answered(bool with_keys, MonoTime now) {
  asking_ = false;
  asks_ = kMostAsks;
  if (with_keys) got_at_ = now;
}

bool KeyRefresh::asker_left(MonoTime now) {
  asking_ = false;
  return may_ask(now);
}

}  // namespace entitle
