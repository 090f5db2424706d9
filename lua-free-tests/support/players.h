// Several deliveries against one Redis in memory, advanced one Redis command
// at a time in any order. MULTI ... EXEC is one command: Redis runs it as one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/delivery/delivery.h"
#include "lua-free-tests/support/memory_redis.h"

namespace entitle::test {

class Player {
 public:
  Player(MemoryRedis& redis, Conversation<DeliveryResult> talk)
      : redis_(&redis), talk_(std::move(talk)) {}

  bool done() { return talk_.next() == nullptr; }
  // Sends the next command (or transaction). Only while not done.
  void advance();
  void finish() {
    while (!done()) advance();
  }
  // Before its next step. Only while not done.
  std::chrono::milliseconds pause() { return talk_.next()->pause; }
  DeliveryResult& result() { return talk_.result(); }
  // A hash of what it heard so far: who heard the same goes on the same way.
  std::size_t heard() const { return heard_; }
  std::size_t steps() const { return steps_; }  // begun
  // What its connection watches: part of the state of the whole.
  const MemoryRedis::Connection& connection() const { return connection_; }

 private:
  MemoryRedis* redis_;
  Conversation<DeliveryResult> talk_;
  MemoryRedis::Connection connection_;
  std::size_t at_ = 0;  // in the current step's commands
  std::vector<Reply> replies_;
  std::size_t heard_ = 0;
  std::size_t steps_ = 0;
};

DeliveryResult run(MemoryRedis& redis, Conversation<DeliveryResult> talk);

// Any conversation, alone, to its end; or so many steps of it: null then.
template <class T>
std::optional<T> hold(MemoryRedis& redis, Conversation<T> talk,
                      int most_steps = 1'000'000) {
  MemoryRedis::Connection connection;
  while (const Step* step = talk.next()) {
    if (most_steps-- == 0) return std::nullopt;
    std::vector<Reply> replies;
    for (const Command& command : step->commands) {
      replies.push_back(redis.run(connection, command));
    }
    talk.resume(std::move(replies));
  }
  return std::move(talk.result());
}

}  // namespace entitle::test
