#include "core/credit/wallet.h"

#include <algorithm>
#include <utility>

namespace entitle {

void CreditWallet::add(std::vector<CreditShare>& shares,
                       const CreditShare& share) {
  if (share.credits <= 0) return;
  for (CreditShare& one : shares) {
    if (one.from != share.from) continue;
    one.credits += share.credits;
    one.until = std::max(one.until, share.until);
    return;
  }
  shares.push_back(share);
  std::sort(shares.begin(), shares.end(),
            [](const CreditShare& a, const CreditShare& b) {
              return std::pair(a.until, a.from) < std::pair(b.until, b.from);
            });
}

void CreditWallet::learn(const CreditsTaken& taken) {
  if (taken.error.empty()) {
    account_ = taken.account;
    doubted_ = false;
  }
  uses_ = taken.uses;
  for (const CreditShare& share : std::exchange(held_, {})) {
    const bool stands = account_ && account_->find(share.from) != nullptr;
    add(stands ? held_ : back_, share);
  }
  for (const CreditShare& share : taken.shares) add(held_, share);
}

const CreditAccount* CreditWallet::account(UnixTime now) const {
  return account_ && !doubted_ && now < account_->same_until ? &*account_
                                                             : nullptr;
}

void CreditWallet::doubt() {
  doubted_ = true;
  for (const CreditShare& share : std::exchange(held_, {})) add(back_, share);
}

std::optional<Charge> CreditWallet::pay(std::int64_t cost) {
  if (held() < cost) return std::nullopt;
  Charge charge;
  for (CreditShare& share : held_) {
    const std::int64_t credits = std::min(cost, share.credits);
    if (credits == 0) continue;
    charge.push_back({share.from, share.until, credits});
    share.credits -= credits;
    cost -= credits;
  }
  std::erase_if(held_, [](const auto& share) { return share.credits == 0; });
  return charge;
}

void CreditWallet::put_back(const Charge& charge) {
  for (const CreditShare& share : charge) {
    const bool stands =
        account_ && !doubted_ && account_->find(share.from) != nullptr;
    add(stands ? held_ : back_, share);
  }
}

std::int64_t CreditWallet::left() const {
  return account_ ? credits_left(*account_, uses_) + held() : 0;
}

std::optional<UnixTime> CreditWallet::comes_back() const {
  return account_ ? account_->comes_back() : std::nullopt;
}

std::optional<Seconds> CreditWallet::window() const {
  if (!account_ || account_->pots.size() != 1) return std::nullopt;
  const CreditPot& pot = account_->pots.front();
  if (!pot.is_of_period() || pot.ends == kForever) return std::nullopt;
  return pot.ends - pot.from;
}

std::vector<CreditShare> CreditWallet::release() {
  for (const CreditShare& share : std::exchange(back_, {})) add(held_, share);
  return std::exchange(held_, {});
}

CreditTaking CreditWallet::taking(std::int64_t need, std::int64_t want,
                                  UnixTime now) {
  CreditTaking taking;
  if (const CreditAccount* known = account(now)) {
    taking.account = *known;
    taking.uses = uses_;
  }
  taking.need = need;
  taking.want = want;
  taking.debt = std::exchange(debt_, 0);
  taking.back = std::exchange(back_, {});
  return taking;
}

void CreditWallet::not_told(const CreditTaking& taking) {
  debt_ += taking.debt;
}

std::string rate_limit_policy(std::string_view name, std::int64_t put,
                              std::optional<Seconds> window) {
  std::string text = '"' + std::string(name) + "\";q=" + std::to_string(put);
  if (window) text += ";w=" + std::to_string(window->count());
  return text;
}

std::string rate_limit(std::string_view name, std::int64_t left,
                       std::optional<UnixTime> comes_back, UnixTime now) {
  std::string text = '"' + std::string(name) + "\";r=" + std::to_string(left);
  if (comes_back) {
    const auto in = std::max(Seconds{0}, *comes_back - now);
    text += ";t=" + std::to_string(in.count());
  }
  return text;
}

}  // namespace entitle
