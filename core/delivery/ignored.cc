#include "core/delivery/ignored.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/record/keys.h"
#include "core/source/stripe_id.h"

namespace entitle {
namespace {

using Identifiers = std::vector<Identifier>;
using Names = std::set<std::string>;
using Type = Identifier::Type;

Identifiers of_type(const Identifiers& all, Type type) {
  Identifiers some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [&](const Identifier& one) { return one.parts().type == type; });
  return some;
}

bool any_in(const Names& names, const Identifiers& some) {
  return std::any_of(some.begin(), some.end(), [&](const Identifier& one) {
    return names.contains(one.str());
  });
}

// And there are some.
bool all_in(const Names& names, const Identifiers& some) {
  return !some.empty() &&
         std::all_of(some.begin(), some.end(), [&](const Identifier& one) {
           return names.contains(one.str());
         });
}

// Each item has a price: its own name, or another of the same item.
bool each_price_in(const Names& names, const Identifiers& prices,
                   const ItemPeriods& items) {
  return std::all_of(
      prices.begin(), prices.end(), [&](const Identifier& price) {
        if (names.contains(price.str())) return true;
        return std::any_of(
            items.begin(), items.end(), [&](const ItemPeriod& item) {
              bool is_this =
                  std::find(item.identifiers.begin(), item.identifiers.end(),
                            price) != item.identifiers.end();
              return is_this && any_in(names, item.identifiers);
            });
      });
}

bool each_thing_in(const Names& names, const SourceNames& source) {
  const Identifiers& all = source.known_by;
  Identifiers prices;
  std::copy_if(all.begin(), all.end(), std::back_inserter(prices), is_price);
  const Identifiers products = of_type(all, Type::product);
  const Identifiers keys = of_type(all, Type::lookup_key);
  if (!prices.empty()) {
    bool one_thing = prices.size() == 1 && products.size() <= 1;
    return each_price_in(names, prices, source.items) ||
           all_in(names, products) || (one_thing && any_in(names, keys));
  }
  for (const Identifiers& some :
       {products, keys, of_type(all, Type::payment_link),
        of_type(all, Type::feature), of_type(all, Type::metadata)}) {
    if (!some.empty()) return all_in(names, some);
  }
  return any_in(names, all);
}

}  // namespace

std::vector<std::string> names_to_ignore(const Facts& facts) {
  std::vector<std::string> names;
  const PlaceFacts& own = facts.places.back();
  for (const auto& [id, source] : own.sources) names.push_back(id);
  names.push_back(own.place);
  std::string_view account = StripeId(own.place).account();
  if (!account.empty()) names.emplace_back(account);
  return names;
}

std::vector<std::string> SourceNames::all() const {
  std::vector<std::string> names = whole;
  if (known_by.empty()) return names;
  for (const Identifier& one : known_by) names.push_back(one.str());
  for (const ItemPeriod& item : items) {
    for (const Identifier& one : item.identifiers) names.push_back(one.str());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool is_ignored(const SourceNames& source, const std::set<std::string>& names) {
  return std::any_of(
             source.whole.begin(), source.whole.end(),
             [&](const std::string& name) { return names.contains(name); }) ||
         each_thing_in(names, source);
}

std::vector<Command> to_ask_ignored(const std::string& key,
                                    const std::vector<std::string>& names) {
  std::vector<Command> commands;
  for (const std::string& name : names) {
    commands.push_back({"SISMEMBER", key, name});
  }
  return commands;
}

std::set<std::string> ignored_in(std::vector<std::string> names,
                                 std::span<const Reply> replies) {
  std::set<std::string> ignored;
  for (std::size_t i = 0; i < replies.size() && i < names.size(); ++i) {
    const Reply& reply = replies[i];
    bool yes = reply.type == Reply::Type::integer && reply.integer == 1;
    if (yes) ignored.insert(std::move(names[i]));
  }
  return ignored;
}

Conversation<std::set<std::string>> ignored_among(
    Transactions& redis, std::string key, std::vector<std::string> names) {
  auto asking = redis.send(key, to_ask_ignored(key, names));
  std::vector<Reply> replies = co_await asking;
  co_return ignored_in(std::move(names), replies);
}

Conversation<bool> is_ignored(DeliveryOptions options,
                              std::vector<std::string> names) {
  Transactions redis(options.jitter_seed, options.wait);
  auto asking = ignored_among(redis, options.keys.ignored(), std::move(names));
  std::set<std::string> ignored = co_await asking;
  co_return !ignored.empty();
}

}  // namespace entitle
