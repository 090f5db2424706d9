#include "core/access/given_back.h"

#include <algorithm>
#include <cstdint>
#include <set>

namespace entitle {
namespace {

// Whether all that could be given back is, by the refunds that did not fail.
bool adds_up(const Source& payment, const RefundFact& charge) {
  std::int64_t left = charge.charged;
  for (const RefundFact& refund : payment.refunds) {
    if (!refund.of_charge && !refund.returned && refund.amount > 0) {
      left -= std::min(left, refund.amount);
    }
  }
  return charge.charged > 0 && left == 0;
}

// One payment, by itself and by its charges.
struct Payment {
  bool refunded = false;
  bool disputed = false;
  std::int64_t charged = 0;  // 0: not said

  void add(std::string_view id, const Sources& sources) {
    auto found = sources.find(id);
    if (found == sources.end()) return;
    refunded |= is_refunded(found->second);
    disputed |= is_disputed(found->second);
    for (const RefundFact& refund : found->second.refunds) {
      charged = std::max(charged, refund.charged);
    }
  }
};

Payment payment_of(std::string_view id, const Sources& sources,
                   const Charges& charges) {
  Payment payment;
  payment.add(id, sources);
  auto [charge, last] = charges.equal_range(id);
  for (; charge != last; ++charge) payment.add(charge->second, sources);
  return payment;
}

// Each once, also where one was said by its charge as well.
std::set<std::string_view> payments_of(const Source& purchase,
                                       const Charges& charges) {
  std::set<std::string_view> payments, parts;
  for (const SessionFact& fact : purchase.sessions) {
    if (fact.payment_intent.empty()) continue;
    payments.insert(fact.payment_intent);
    auto [charge, last] = charges.equal_range(fact.payment_intent);
    for (; charge != last; ++charge) parts.insert(charge->second);
  }
  std::erase_if(payments, [&](auto id) { return parts.contains(id); });
  return payments;
}

// What was paid for the purchase in all. 0: not said.
std::int64_t total_paid(const Source& purchase) {
  std::int64_t amount = 0;
  for (const SessionFact& fact : purchase.sessions) {
    if (fact.paid) amount = std::max(amount, fact.amount);
  }
  return amount;
}

// How much of that by one payment, which may have paid for something else, too.
std::int64_t paid_by(std::string_view payment, const Source& purchase,
                     std::int64_t charged) {
  std::int64_t amount = 0;
  for (const SessionFact& fact : purchase.sessions) {
    if (!fact.paid && fact.payment_intent == payment) {
      amount = std::max(amount, fact.amount);
    }
  }
  return amount != 0 ? amount : charged;
}

}  // namespace

// The newest of charge.refunded and the refunds of that charge decides, and of
// the same second what revokes. A refund that failed takes back its own part
// alone: others may have given everything back.
bool is_refunded(const Source& payment) {
  return std::any_of(payment.refunds.begin(), payment.refunds.end(),
                     [&](const RefundFact& charge) {
                       if (!charge.of_charge || !charge.full) return false;
                       bool taken_back = std::any_of(
                           payment.refunds.begin(), payment.refunds.end(),
                           [&](const RefundFact& refund) {
                             return !refund.of_charge && refund.returned &&
                                    refund.created > charge.created;
                           });
                       return !taken_back || adds_up(payment, charge);
                     });
}

bool is_disputed(const Source& payment) {
  return std::any_of(payment.disputes.begin(), payment.disputes.end(),
                     [](const DisputeFact& d) { return d.suspends(); });
}

Charges charges_in(const Sources& sources) {
  Charges charges;
  for (const auto& [id, source] : sources) {
    for (const SessionFact& fact : source.sessions) {
      if (!fact.charge.empty()) {
        charges.emplace(fact.payment_intent, fact.charge);
      }
    }
  }
  return charges;
}

// Every payment that is known, or as much as all of them came to: an invoice
// may name one that was never used, and more may be paid than is due.
GivenBack given_back(const Source& purchase, const Sources& sources,
                     const Charges& charges) {
  GivenBack back;
  bool any = false, each = true;
  const std::int64_t paid = total_paid(purchase);
  std::int64_t left = paid;
  for (std::string_view id : payments_of(purchase, charges)) {
    Payment payment = payment_of(id, sources, charges);
    back.disputed |= payment.disputed;
    any |= payment.refunded;
    each &= payment.refunded;
    if (!payment.refunded) continue;
    left -= std::min(left, paid_by(id, purchase, payment.charged));
  }
  back.refunded = any && (each || (paid > 0 && left == 0));
  return back;
}

}  // namespace entitle
