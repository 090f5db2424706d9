// Until when a subscription's items are paid for, by its invoices.
//
// Each price has one end of its own. A line that is paid ahead says it; one
// billed in arrears only extends it, by its length; and an invoice that pays
// for one more period without showing the plan extends what ends as it begins.
#include "core/source/paid.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/source/identifier.h"

namespace entitle {
namespace {

bool is_known_by(const ItemPeriod& item, std::string_view text) {
  return std::any_of(
      item.identifiers.begin(), item.identifiers.end(),
      [&](const Identifier& identifier) { return identifier.str() == text; });
}

// One item of both: a price in common, or all there is.
bool same_item(const ItemPeriod& a, const ItemPeriod& b) {
  return a.identifiers == b.identifiers ||
         std::any_of(a.identifiers.begin(), a.identifiers.end(),
                     [&](const Identifier& identifier) {
                       return is_price(identifier) &&
                              is_known_by(b, identifier.str());
                     });
}

// A period begins where the one before ended; where lengths of months had to
// be guessed, up to three days beside.
void renew(ItemPeriods& items, UnixTime from, UnixTime until) {
  constexpr Seconds kMonthsDiffer = std::chrono::hours(72);
  if (until <= from) return;
  const Seconds slack = std::min<Seconds>((until - from) / 8, kMonthsDiffer);
  for (ItemPeriod& item : items) {
    if (!item.end || *item.end + slack < from || *item.end - slack > from) {
      continue;
    }
    item.end = std::max(*item.end, until);
  }
}

// Paid invoices and renewals, the oldest first.
struct Payment {
  UnixTime at;
  const PaidInvoice* invoice = nullptr;
  const Renewal* renewal = nullptr;
};
std::vector<Payment> payments_since(const Source& source, UnixTime said) {
  std::vector<Payment> payments;
  for (auto at = source.renewals.rbegin(); at != source.renewals.rend(); ++at) {
    if (at->created >= said) payments.push_back({at->from, nullptr, &*at});
  }
  for (auto at = source.invoices.rbegin(); at != source.invoices.rend(); ++at) {
    if (at->created >= said) payments.push_back({at->issued, &*at, nullptr});
  }
  std::stable_sort(
      payments.begin(), payments.end(),
      [](const Payment& a, const Payment& b) { return a.at < b.at; });
  return payments;
}

// --- invoices alone ---------------------------------------------------------

void take_back(ItemPeriods& items, const Returned& returned) {
  for (ItemPeriod& item : items) {
    if (is_known_by(item, returned.price)) {
      item.end = std::min(item.end, std::optional<UnixTime>(returned.at));
    }
  }
}

void take_line(ItemPeriods& items, ItemPeriod line) {
  auto known = std::find_if(
      items.begin(), items.end(),
      [&](const ItemPeriod& item) { return same_item(item, line); });
  bool arrears = line.arrears;
  line.arrears = false;
  if (known == items.end()) {
    items.push_back(std::move(line));
  } else {
    if (arrears) line.end = std::max(line.end, known->end);
    *known = std::move(line);
  }
}

// Of a cycle, what ended as it began and is not on its invoice was dropped: it
// is not waiting to be paid, and no grace is for it.
void drop_left(ItemPeriods& items, const PaidInvoice& invoice,
               const ItemPeriods& lines) {
  constexpr Seconds kMade = std::chrono::hours(1);  // after the cycle began
  std::erase_if(items, [&](const ItemPeriod& item) {
    return item.end && *item.end <= invoice.issued &&
           *item.end + kMade >= invoice.issued &&
           std::none_of(
               lines.begin(), lines.end(),
               [&](const ItemPeriod& line) { return same_item(item, line); });
  });
}

void take_invoice(ItemPeriods& items, const PaidInvoice& invoice, bool whole) {
  for (const Returned& returned : invoice.returned) take_back(items, returned);
  const ItemPeriods lines = items_of(invoice);
  if (whole) drop_left(items, invoice, lines);
  for (const ItemPeriod& line : lines) {
    if (!line.identifiers.empty()) take_line(items, line);
  }
}

bool is_renewal(const Source& source, const PaidInvoice& invoice) {
  return std::any_of(source.renewals.begin(), source.renewals.end(),
                     [&](const Renewal& renewal) {
                       return renewal.invoice == invoice.invoice;
                     });
}

// --- invoices beside the subscription's own events --------------------------

// False: the invoice is for nothing that is known.
bool extend(ItemPeriods& items, const PaidInvoice& invoice) {
  bool known = false;
  for (const ItemPeriod& line : items_of(invoice)) {
    for (ItemPeriod& item : items) {
      if (!same_item(item, line)) continue;
      known = true;
      item.end = std::max(item.end, line.end);
    }
  }
  return known;
}

std::optional<UnixTime> last_end(const ItemPeriods& items) {
  std::optional<UnixTime> last;
  for (const ItemPeriod& item : items) last = std::max(last, item.end);
  return last;
}

}  // namespace

std::optional<ResolvedSubscription> resolve_invoices(const Source& source) {
  if (source.invoices.empty()) return std::nullopt;
  ResolvedSubscription resolved;
  for (const Payment& payment : payments_since(source, UnixTime{})) {
    if (payment.invoice) {
      take_invoice(resolved.items, *payment.invoice,
                   !is_renewal(source, *payment.invoice));
    } else {
      renew(resolved.items, payment.renewal->from, payment.renewal->until);
    }
  }
  resolved.items = joined_items(std::move(resolved.items));

  SubscriptionState& state = resolved.state;
  state.status = "active";
  state.period_end = last_end(resolved.items);
  for (const ItemPeriod& item : resolved.items) {
    state.identifiers.insert(state.identifiers.end(), item.identifiers.begin(),
                             item.identifiers.end());
  }
  for (const Identifier& name : source.invoices.front().identifiers) {
    if (!is_of_item(name)) state.identifiers.push_back(name);
  }
  std::sort(state.identifiers.begin(), state.identifiers.end());
  state.identifiers.erase(
      std::unique(state.identifiers.begin(), state.identifiers.end()),
      state.identifiers.end());
  return resolved;
}

void extend_by_invoices(const Source& source, const Snapshot& decided,
                        ResolvedSubscription& resolved) {
  SubscriptionState& state = resolved.state;
  const bool trial = state.status == "trialing" && state.trial_end;
  if (trial) {
    for (ItemPeriod& item : resolved.items) item.end = state.trial_end;
  }
  // The first invoice makes a subscription active, and one that was told
  // incomplete as it was created can have paid only after that.
  if (state.status == "incomplete") {
    UnixTime since =
        decided.type == SnapshotType::created ? UnixTime{} : decided.created;
    if (!payments_since(source, since).empty()) state.status = "active";
  }
  for (const Payment& payment : payments_since(source, decided.created)) {
    if (payment.renewal) {
      renew(resolved.items, payment.renewal->from, payment.renewal->until);
    } else if (!extend(resolved.items, *payment.invoice)) {
      // Of a plan that no event has told: what there is goes on instead.
      renew(resolved.items, payment.invoice->issued,
            payment.invoice->period_end);
    }
  }
  const std::optional<UnixTime> end = last_end(resolved.items);
  state.period_end = std::max(state.period_end, end);
  // A trial that is paid beyond its end is over: only its event is missing.
  if (trial && end) state.trial_end = end;
}

}  // namespace entitle
