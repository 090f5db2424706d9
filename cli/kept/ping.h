// What the id of a ping of our own begins with: that it came says nothing of
// Stripe.
#pragma once

#include <string_view>

namespace entitle::cli {

inline constexpr std::string_view kOwnPing = "evt_entitlectl";

}  // namespace entitle::cli
