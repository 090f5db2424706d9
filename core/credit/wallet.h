// What a worker knows of one account, and the credits it has taken in advance:
// most requests are paid out of these, and ask nobody. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/types.h"
#include "core/credit/account.h"
#include "core/credit/take.h"

namespace entitle {

using Charge = std::vector<CreditShare>;

class CreditWallet {
 public:
  // What a conversation came to. What is held of a pot that the account has no
  // more is to be given back.
  void learn(const CreditsTaken& taken);
  // Null: it is not known, or not what it was.
  const CreditAccount* account(UnixTime now) const;
  const std::vector<PotUse>& uses() const { return uses_; }
  // The account may be another one: what is held goes by the old one.
  void doubt();

  // Null: there are too few. Of what is over first, first.
  std::optional<Charge> pay(std::int64_t cost);
  // A request that is not to be paid for after all.
  void put_back(const Charge& charge);
  // Was let by while nobody could be asked.
  void owe(std::int64_t cost) { debt_ += cost; }
  std::int64_t debt() const { return debt_; }

  std::int64_t held() const { return sum(held_); }
  // What the account has for this worker: as it was seen last.
  std::int64_t left() const;
  std::int64_t put() const { return account_ ? account_->put() : 0; }
  std::optional<UnixTime> comes_back() const;
  // How long the only period is. Null: there is none, or more than one.
  std::optional<Seconds> window() const;

  // All of it: to be given back.
  std::vector<CreditShare> release();
  bool owes_nothing() const {
    return debt_ == 0 && back_.empty() && held_.empty();
  }
  // For the next conversation.
  CreditTaking taking(std::int64_t need, std::int64_t want, UnixTime now);
  // It failed before it told what was to be told.
  void not_told(const CreditTaking& taking);

 private:
  static void add(std::vector<CreditShare>& shares, const CreditShare& share);

  std::optional<CreditAccount> account_;
  bool doubted_ = true;
  std::vector<PotUse> uses_;
  std::vector<CreditShare> held_;  // in the order they are used
  std::vector<CreditShare> back_;  // to be given back
  std::int64_t debt_ = 0;
};

// The values of the answer's fields RateLimit-Policy and RateLimit.
// Source:
// https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
std::string rate_limit_policy(std::string_view name, std::int64_t put,
                              std::optional<Seconds> window);
std::string rate_limit(std::string_view name, std::int64_t left,
                       std::optional<UnixTime> comes_back, UnixTime now);

}  // namespace entitle
