#include "core/delivery/ignored.h"

#include <algorithm>
#include <utility>

#include "core/record/keys.h"
#include "core/source/stripe_id.h"

namespace entitle {

std::vector<std::string> names_to_ignore(const Facts& facts) {
  std::vector<std::string> names;
  const PlaceFacts& own = facts.places.back();
  for (const auto& [id, source] : own.sources) names.push_back(id);
  names.push_back(own.place);
  std::string_view account = StripeId(own.place).account();
  if (!account.empty()) names.emplace_back(account);
  return names;
}

Conversation<bool> is_ignored(Transactions& redis, std::string key,
                              std::vector<std::string> names) {
  std::vector<Command> commands;
  for (std::string& name : names) {
    commands.push_back({"SISMEMBER", key, std::move(name)});
  }
  auto asking = redis.send(key, std::move(commands));
  std::vector<Reply> replies = co_await asking;
  co_return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
    return reply.type == Reply::Type::integer && reply.integer == 1;
  });
}

Conversation<bool> is_ignored(DeliveryOptions options,
                              std::vector<std::string> names) {
  Transactions redis(options.jitter_seed, options.wait);
  auto asking = is_ignored(redis, options.keys.ignored(), std::move(names));
  bool ignored = co_await asking;
  co_return ignored;
}

}  // namespace entitle
