// Redis as a blocking tool talks to it: single, by Sentinel or in Cluster, as
// `entitle_redis` says. The rules (who is the primary, which node has a key)
// are core's.
//
//   Client redis(settings);
//   Reply record = redis.ask(key, {"HGETALL", key});
//   DeliveryResult done = redis.hold(deliver(...));
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/conf/settings.h"
#include "cli/redis/connection.h"
#include "core/redis/conversation.h"
#include "core/redis/slots.h"

namespace entitle::cli {

class Client {
 public:
  explicit Client(RedisSettings settings);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Commands about one key; its Cluster node is found by it. An error that
  // says that Redis cannot be asked now is thrown as Stop.
  std::vector<Reply> ask(const std::string& key, std::vector<Command> commands);
  Reply ask(const std::string& key, Command command);
  // Commands about a key each, which is their second word; in one go where one
  // server has all keys.
  std::vector<Reply> ask_each(std::vector<Command> commands);
  bool one_server() const;

  // Holds a conversation to its end.
  template <class T>
  T hold(Conversation<T> talk) {
    while (const Step* step = talk.next()) talk.resume(send(*step));
    return std::move(talk.result());
  }

  // Each primary in turn, all of whose keys together are all there are.
  void each_primary(const std::function<void(Connection&)>& look);

  const RedisSettings& settings() const { return settings_; }

 private:
  std::vector<Reply> send(const Step& step);
  Connection& node_of(const std::string& key);
  Connection& node_at(const RedisHost& host);
  Connection& single();
  std::unique_ptr<Connection> found_by_sentinel();
  bool confirmed(const RedisHost& primary);
  void read_slots();
  // What a redirection asks for. Null: there is none among the replies.
  std::optional<Redirect> redirection(const std::vector<Reply>& replies,
                                      const Connection& asked);

  RedisSettings settings_;
  std::unique_ptr<Connection> single_;
  std::optional<SlotMap> slots_;
  std::vector<std::unique_ptr<Connection>> nodes_;
};

}  // namespace entitle::cli
