// Whether what a purchase goes through is set up: a line a test, each with what
// mends it. Nothing is written but event types that an endpoint lacks, and that
// only where it was asked for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "cli/stripe/api.h"

namespace entitle::cli {

enum class Health { fine, bad, unknown };
std::string_view name(Health health);

struct Check {
  std::string name;  // "webhook.route"
  Health health = Health::unknown;
  std::string says;
  std::string cure = {};  // of what is not fine
};
using Checks = std::vector<Check>;

// The secrets of the webhook, and that there is one.
Checks check_configuration(const Context& context);
// Redis: there, a primary, may be written, keeps what it is told; and what the
// webhook says of itself in it.
Checks check_redis(const Context& context);
// The webhook's URL: whoever answers there is ours. Empty `url`: nobody knows.
Checks check_route(const std::string& url);
// Gates: shut to strangers, the app says who somebody is, the login page open.
Checks check_gates(const Context& context);
// What nginx runs, and counted of webhooks, by entitle_status: at `url`; empty:
// where the configuration has it.
Checks check_running(const Context& context, const std::string& url);
// What Stripe sends where. `fix`: adds event types that are missing.
Checks check_stripe(const Context& context, StripeApi& stripe,
                    const std::string& url, bool fix);

// Active prices that no grant knows and nobody ignores. Throws Stop.
Check check_prices(const Context& context, StripeApi& stripe);
// Events of 30 days that never came, and how many. Throws Stop.
Check check_delivered(const Context& context, StripeApi& stripe,
                      std::int64_t& count);

// An event of our own, and one of Stripe's, which change nothing, through the
// whole route. Throws Stop.
Check check_ping(const Context& context, const std::string& url);
Check check_stripes_ping(const Context& context, StripeApi& stripe,
                         const std::string& url);

// The types of events that decide, and those of them that an endpoint lacks.
std::span<const std::string_view> wanted_types();
std::vector<std::string> missing_types(const json::Node* endpoint);

// The URL that the configuration gives the webhook; empty: it cannot be told.
std::string webhook_url(const Context& context);

}  // namespace entitle::cli
