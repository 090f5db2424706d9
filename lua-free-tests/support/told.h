// What Stripe tells, event by event or in any order, to one Redis in memory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/access/grants.h"
#include "core/delivery/delivery.h"
#include "lua-free-tests/support/deliveries.h"
#include "lua-free-tests/support/memory_redis.h"
#include "lua-free-tests/support/stripe_json.h"

namespace entitle::test {

using Told = std::vector<std::string>;  // bodies of events

inline constexpr Shape kShapes[] = {Shape::before_basil, Shape::basil};
inline constexpr Time kDay = 86400, kSaid = kNow - 10 * kDay;

// Of the event `id`, so long after kSaid.
Envelope at(const std::string& id, Time minute, Shape shape);

DeliveryResult tell(MemoryRedis& redis, const GrantMap& grants,
                    const std::string& body);

// Each order of `told`; of more than five, some.
void in_any_order(Told told, const std::function<void(const Told&)>& check);

}  // namespace entitle::test
