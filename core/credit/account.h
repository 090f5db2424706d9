// How much was put on an account of credits: a pure function of the user's
// sources, the lines of `entitle_credit` and the time. Nothing is ever booked,
// so any order and duplication of events ends in the same account, what was
// given back counts no more, and other lines count for everybody at once.
//
//   a purchase       a checkout session, an invoice for no subscription, what a
//                    subscription's invoice sells besides, a payment of its
//                    own: of each line its number times its quantity; and where
//                    no line puts anything, what the whole purchase is known by
//   a subscription   of each item that it has now, its number times its
//                    quantity, for the period that runs: until the next begins
//                    or access ends. By `per=period`, and by a line without it
//                    where no other names the item: a period is what is paid
//   past due         what is left of the last period an invoice paid
//   an operator's    what it is known by, once, until it ends
//   grant
//
// Where several lines name one thing (its price and its product) the greatest
// number counts, once.
#pragma once

#include <cstdint>
#include <vector>

#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/credit/credit_map.h"
#include "core/source/source.h"

namespace entitle {

// What is counted by one counter in Redis (Keys::used).
struct CreditPot {
  UnixTime from{};            // of the period; the epoch: of none
  UnixTime ends = kForever;   // of the period
  UnixTime until = kForever;  // so long it may be taken from
  std::int64_t put = 0;
  bool is_of_period() const { return from != UnixTime{}; }
  bool operator==(const CreditPot&) const = default;
};

struct CreditAccount {
  // In the order in which they are taken from: what is over first, first.
  std::vector<CreditPot> pots;
  // From then on it may be another one, by the same sources.
  UnixTime same_until = kForever;

  std::int64_t put() const;  // of all
  // When the next period begins, if there is one. Null: nobody says.
  std::optional<UnixTime> comes_back() const;
  const CreditPot* find(UnixTime from) const;
  bool operator==(const CreditAccount&) const = default;
};

CreditAccount credit_account(const Sources& sources, const CreditLines& lines,
                             const Policy& policy, UnixTime now);

}  // namespace entitle
