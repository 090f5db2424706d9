// Events for tests of delivery: each buys one thing, once and for all, so
// that every fact delivered can be told apart in the end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/options.h"
#include "core/source/claim.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle::test {

inline constexpr std::int64_t kNow = 1'750'000'000;

struct Delivered {
  Facts facts;
  EventHead head;
};

Claim user_claim(std::string_view event, std::int64_t created,
                 std::string_view user,
                 ClaimKind kind = ClaimKind::client_reference);
Claim forward_claim(std::string_view event, std::int64_t created,
                    std::string_view place);

// The event `event` says to `place` that the session `source` is paid and
// bought `identifier`. An empty `source`: it only claims.
Delivered purchase(std::string_view event, std::string_view place,
                   std::string_view source, std::vector<Claim> claims = {},
                   std::string_view identifier = "price_pro");

// Before what the event says itself: `place` is part of another one.
void also_forwards(Delivered& delivered, std::string_view place,
                   std::string_view to);

// The event also says the e-mail of its own place.
void says_email(Delivered& delivered, std::string_view email,
                std::int64_t said = kNow);

// The subscription `source` of cus_1 runs, and was `said` to be this user's.
Delivered subscribes(std::string_view event, std::string_view source,
                     std::string_view user, std::int64_t said = 10);
// It is over; nobody is named.
Delivered cancels(std::string_view event, std::string_view source);

// A claim about one source.
Claim about(std::string_view source, Claim claim);

// Grants: pro for price_pro.
const GrantMap& grants();
// With one server that has all keys. ENTITLE_TEST_SERVERS: "cluster", as
// where no transaction may touch two; "either", by the seed.
DeliveryOptions options(std::uint64_t seed = 1);

Conversation<DeliveryResult> deliver(const Delivered& delivered,
                                     std::uint64_t seed = 1);

User user(std::string_view name);

}  // namespace entitle::test
