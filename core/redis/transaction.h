// Optimistic transactions, one after another, each on one key: WATCH and read,
// decide, then MULTI ... EXEC, which writes nothing if the key has changed.
// At most one key is watched at a time; several, and written together, only
// where one server has all keys (no Cluster).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/redis/conversation.h"
#include "core/redis/exec_reply.h"
#include "core/redis/reply.h"

namespace entitle {

// Every EXEC is followed by WAIT: it counts once this many replicas have it.
// Source: https://redis.io/docs/latest/commands/wait/
struct ReplicaWait {
  int replicas = 0;  // 0: no WAIT
  std::chrono::milliseconds time{0};
};

class Transactions {
 public:
  // `seed` makes the pauses of two deliveries differ.
  explicit Transactions(std::uint64_t seed, ReplicaWait wait = {})
      : random_(seed), wait_(wait) {}

  // WATCH and HGETALL; forgets what was watched before.
  Conversation<Reply> watch(std::string key);
  // WATCH and what `asking` asks; likewise. An error, or the answers to it.
  Conversation<std::vector<Reply>> watch_and_ask(std::string key,
                                                 std::vector<Command> asking);
  // WATCH and HGETALL of several, in one go, and what `asking` asks; likewise.
  // As many replies.
  Conversation<std::vector<Reply>> watch_all(std::vector<std::string> keys,
                                             std::vector<Command> asking = {});
  // WATCH and HGETALL of one more; what is watched stays watched.
  Conversation<Reply> watch_too(std::string key);
  // HGETALL; what is watched stays watched.
  Conversation<Reply> read(std::string key);
  // Writes to the watched key (or its Cluster slot) if it is unchanged; to any
  // where several are watched, if all of them are. The
  // last `dispensable` commands may fail when they run (a log of a wrong type):
  // what the others wrote is written.
  Conversation<CommitReply> commit(std::string key,
                                   std::vector<Command> commands,
                                   std::size_t dispensable = 0);
  // Writes to a key that nobody watches; forgets what was watched.
  Conversation<CommitReply> write(std::string key,
                                  std::vector<Command> commands);
  // Commands outside any transaction; what is watched stays watched.
  Conversation<std::vector<Reply>> send(std::string key,
                                        std::vector<Command> commands);
  // The same, and forgets what was watched.
  Conversation<std::vector<Reply>> send_last(std::string key,
                                             std::vector<Command> commands);

  // After a conflict or a refusal to go on: the next step is sent after a
  // growing, random pause. False when it has been tried often enough.
  bool try_again();

 private:
  Conversation<std::vector<Reply>> ask_watching(Step step, std::size_t asked);
  void forget_watch(Step& step);
  void add_transaction(Step& step, std::vector<Command> commands);
  CommitReply judge(std::span<const Command> sent,
                    std::span<const Reply> replies,
                    std::size_t dispensable) const;
  Step make_step(std::string key);

  std::uint64_t random_;
  ReplicaWait wait_;
  int tries_ = 0;
  bool watching_ = false;
  std::chrono::milliseconds pause_{0};
};

}  // namespace entitle
