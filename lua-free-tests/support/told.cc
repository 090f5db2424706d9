#include "lua-free-tests/support/told.h"

#include <algorithm>
#include <random>

#include "core/delivery/options.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "lua-free-tests/support/players.h"
#include "lua-free-tests/support/stripe_event.h"

namespace entitle::test {

Envelope at(const std::string& id, Time minute, Shape shape) {
  return {"evt_" + id, kSaid + minute * 60, shape};
}

DeliveryResult tell(MemoryRedis& redis, const GrantMap& grants,
                    const std::string& body) {
  Event told = event(body);
  DeliveryOptions how = options();
  how.grants = &grants;
  return run(redis, entitle::deliver(facts_of(told, default_options()),
                                     told.head, how));
}

void in_any_order(Told told, const std::function<void(const Told&)>& check) {
  constexpr std::size_t kAll = 5;
  constexpr int kSome = 60;
  if (told.size() > kAll) {
    std::mt19937 random(7);
    for (int run = 0; run < kSome; ++run) {
      std::shuffle(told.begin(), told.end(), random);
      check(told);
    }
    return;
  }
  std::sort(told.begin(), told.end());
  do {
    check(told);
  } while (std::next_permutation(told.begin(), told.end()));
}

}  // namespace entitle::test
