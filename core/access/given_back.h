// What of the money came back: refunds and disputes of a payment, and of a
// purchase by all the payments that are known to have paid it.
#pragma once

#include <map>
#include <string_view>

#include "core/source/source.h"

namespace entitle {

// All of one payment.
bool is_refunded(const Source& payment);
bool is_disputed(const Source& payment);

// Which charges a payment is known to be made of: some events name only the
// charge. Views of the sources.
using Charges = std::multimap<std::string_view, std::string_view>;
Charges charges_in(const Sources& sources);

struct GivenBack {
  bool refunded = false;  // all that was paid for it
  bool disputed = false;  // any payment
};
// Of a session, an invoice, or a payment by itself.
GivenBack given_back(const Source& purchase, const Sources& sources,
                     const Charges& charges);

}  // namespace entitle
