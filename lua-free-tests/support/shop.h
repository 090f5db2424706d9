// A shop's years with Stripe: subscriptions whose items are billed by different
// intervals or in arrears, long ones that events do not show whole, several
// owners of one customer who are named in every kind of metadata, guests,
// gifts, refunds. Told as Stripe's events; what is true of them says truth.h.
// Calls nothing in core/.
#pragma once

#include <cstdint>
#include <vector>

#include "lua-free-tests/support/truth.h"

namespace entitle::test {

// In the true order. Equal seeds make equal years; fewer `steps` are the
// beginning of more.
std::vector<Told> make_shop(std::uint64_t seed, int steps);

// How often what has happened in a shop: so that a test can say that its shops
// did have it.
struct Variety {
  int more_items = 0, more_lines = 0, mixed_intervals = 0, arrears = 0,
      add_ons_by_invoice = 0, shared_customers = 0, by_invoice_only = 0;
};
Variety variety_of(const std::vector<Told>& told);

// The same day of a month later or earlier, at the same time of day.
Time months_later(Time time, int months);

}  // namespace entitle::test
