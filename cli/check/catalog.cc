// What Stripe sells that no grant knows, and what it sent that Redis never
// heard of.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/reconcile/replay.h"
#include "cli/stripe/list.h"
#include "core/record/fields.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMostShown = 8;
// What came that lately may be under way.
constexpr Seconds kUnderWay{300};

using Type = Identifier::Type;

std::vector<Identifier> identifiers_of(const json::Node* price) {
  std::vector<Identifier> all;
  const auto add = [&](std::optional<Identifier> identifier) {
    if (identifier) all.push_back(*std::move(identifier));
  };
  const AccountId own;
  add(Identifier::price(own, json::string(price, "id")));
  add(Identifier::from_stripe_id(own, stripe::id(price, "product")));
  add(Identifier::lookup_key(own, json::string(price, "lookup_key")));
  return all;
}

// Of a price: everything else is known by what buys it.
bool is_of_price(const Identifier& identifier) {
  switch (identifier.parts().type) {
    case Type::price:
    case Type::product:
    case Type::lookup_key:
    case Type::plan:
    case Type::named_price:
      return true;
    default:
      return false;
  }
}

std::set<std::string, std::less<>> ignored(const Context& context) {
  std::set<std::string, std::less<>> names;
  const std::string key = context.keys().ignored();
  const Reply reply = context.redis().ask(key, Command{"SMEMBERS", key});
  for (const Reply& name : reply.elements) names.insert(name.text);
  return names;
}

struct Prices {
  std::size_t known = 0;
  std::vector<std::string> unknown;  // "price_1 (prod_1)"
  std::string first;                 // id of the first of those
};

Prices prices_of(const Context& context, StripeApi& stripe) {
  const auto waved = ignored(context);
  Prices prices;
  StripeList list(stripe, "/v1/prices", "active=true&");
  while (auto page = list.next()) {
    for (const json::Node* price : page->members) {
      const std::vector<Identifier> all = identifiers_of(price);
      const bool known =
          std::any_of(all.begin(), all.end(), [&](const Identifier& one) {
            return !context.grants()->entitlements_of(one).empty() ||
                   waved.contains(one.str());
          });
      if (known) {
        ++prices.known;
        continue;
      }
      const std::string id = printable(json::string(price, "id"));
      if (prices.unknown.empty()) prices.first = id;
      prices.unknown.push_back(
          fmt::format("{} ({})", id, printable(stripe::id(price, "product"))));
    }
  }
  return prices;
}

std::string shown(std::vector<std::string> names) {
  const std::size_t all = names.size();
  if (all <= kMostShown) return listed(names);
  names.resize(kMostShown);
  names.push_back(fmt::format("{} more", all - kMostShown));
  return listed(names);
}

}  // namespace

Check check_prices(const Context& context, StripeApi& stripe) {
  if (context.grants() == nullptr) {
    return {"stripe.prices", Health::unknown,
            "no configuration was read, so nobody knows the grants",
            "name it: --config FILE"};
  }
  const std::vector<Identifier> granted = context.grants()->identifiers();
  const auto by_price =
      std::count_if(granted.begin(), granted.end(), is_of_price);
  if (by_price == 0) {
    return {"stripe.prices", Health::fine,
            "no grant names a price, product or lookup key: what is sold is "
            "known by metadata, payment links or features"};
  }
  const Prices prices = prices_of(context, stripe);
  if (prices.unknown.empty()) {
    return {"stripe.prices", Health::fine,
            fmt::format("each of {} active prices is granted something",
                        prices.known)};
  }
  const bool elsewhere =
      by_price != static_cast<std::ptrdiff_t>(granted.size());
  return {"stripe.prices", elsewhere ? Health::unknown : Health::bad,
          fmt::format("no entitle_grant names {}{}", shown(prices.unknown),
                      elsewhere ? "; whether they open something by metadata, "
                                  "payment link or feature, the sale will say"
                                : ""),
          fmt::format("add \"entitle_grant NAME {};\" to nginx's "
                      "configuration and reload; or, if it is none of this "
                      "site's: {}",
                      prices.first,
                      context.command("ignore " + shell_word(prices.first)))};
}

Check check_delivered(const Context& context, StripeApi& stripe,
                      std::int64_t& count) {
  EventsFound found =
      find_events(context, stripe, context.now() - kStripeKeepsEvents, true);
  std::erase_if(found.events, [&](const EventSeen& event) {
    return event.created > context.now() - kUnderWay;
  });
  count = static_cast<std::int64_t>(found.events.size());
  if (count == 0) {
    return {"stripe.delivered", Health::fine,
            fmt::format("all {} events of 30 days that change access are known",
                        found.looked)};
  }
  std::vector<std::string> names;
  for (const EventSeen& event : found.events) {
    names.push_back(
        fmt::format("{} ({})", printable(event.id), printable(event.type)));
  }
  return {"stripe.delivered", Health::bad,
          fmt::format("{} of {} events never came: {}", count, found.looked,
                      shown(std::move(names))),
          context.command("replay --missing --yes")};
}

}  // namespace entitle::cli
