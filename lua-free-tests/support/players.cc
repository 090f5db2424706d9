#include "lua-free-tests/support/players.h"

#include <functional>

#include "core/delivery/delivery.h"

namespace entitle::test {
namespace {

void print(std::string& out, const Reply& reply) {
  out += static_cast<char>('0' + static_cast<int>(reply.type));
  out += std::to_string(reply.integer) + reply.text + '(';
  for (const Reply& element : reply.elements) print(out, element);
  out += ')';
}

}  // namespace

void Player::advance() {
  const Step& step = *talk_.next();
  if (at_ == 0) steps_++;
  bool in_transaction = false;
  do {
    const Command& command = step.commands.at(at_++);
    replies_.push_back(redis_->run(connection_, command));
    std::string said = std::to_string(heard_);
    print(said, replies_.back());
    heard_ = std::hash<std::string>()(said);
    in_transaction = connection_.multi;
  } while (in_transaction && at_ < step.commands.size());
  if (at_ < step.commands.size()) return;
  at_ = 0;
  std::vector<Reply> replies = std::move(replies_);
  replies_.clear();
  talk_.resume(std::move(replies));
}

DeliveryResult run(MemoryRedis& redis, Conversation<DeliveryResult> talk) {
  Player player(redis, std::move(talk));
  player.finish();
  return std::move(player.result());
}

}  // namespace entitle::test
