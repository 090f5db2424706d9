#include "core/stripe/event_types.h"

#include <algorithm>
#include <array>

namespace entitle {
namespace {

struct EventType {
  std::string_view name;
  FactsFunction facts;
};

// By name, for the binary search. What each does and why the others are not
// here: docs/stripe.md.
constexpr std::array kEventTypes = {
    EventType{"charge.dispute.closed", dispute_facts},
    EventType{"charge.dispute.created", dispute_facts},
    EventType{"charge.dispute.funds_reinstated", dispute_facts},
    EventType{"charge.dispute.funds_withdrawn", dispute_facts},
    EventType{"charge.dispute.updated", dispute_facts},
    EventType{"charge.refund.updated", refund_facts},
    EventType{"charge.refunded", charge_refunded_facts},
    EventType{"checkout.session.async_payment_succeeded",
              checkout_session_facts},
    EventType{"checkout.session.completed", checkout_session_facts},
    EventType{"customer.created", customer_facts},
    EventType{"customer.deleted", customer_deleted_facts},
    EventType{"customer.subscription.created", subscription_created_facts},
    EventType{"customer.subscription.deleted", subscription_deleted_facts},
    EventType{"customer.subscription.paused", subscription_notice_facts},
    EventType{"customer.subscription.pending_update_applied",
              subscription_notice_facts},
    EventType{"customer.subscription.pending_update_expired",
              subscription_notice_facts},
    EventType{"customer.subscription.resumed", subscription_notice_facts},
    EventType{"customer.subscription.trial_will_end",
              subscription_notice_facts},
    EventType{"customer.subscription.updated", subscription_updated_facts},
    EventType{"customer.updated", customer_facts},
    EventType{"entitlements.active_entitlement_summary.updated",
              entitlement_summary_facts},
    EventType{"invoice.finalization_failed", invoice_not_finalized_facts},
    EventType{"invoice.paid", invoice_paid_facts},
    EventType{"invoice.payment_succeeded", invoice_paid_facts},
    EventType{"invoice_payment.paid", invoice_payment_facts},
    EventType{"payment_intent.succeeded", payment_intent_facts},
    EventType{"refund.created", refund_facts},
    EventType{"refund.failed", refund_facts},
    EventType{"refund.updated", refund_facts},
};
static_assert(std::is_sorted(kEventTypes.begin(), kEventTypes.end(),
                             [](const EventType& a, const EventType& b) {
                               return a.name < b.name;
                             }));

}  // namespace

FactsFunction facts_function(std::string_view type) {
  auto row = std::lower_bound(
      kEventTypes.begin(), kEventTypes.end(), type,
      [](const EventType& a, std::string_view b) { return a.name < b; });
  if (row == kEventTypes.end() || row->name != type) return nullptr;
  return row->facts;
}

}  // namespace entitle
