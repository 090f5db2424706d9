// Redis in memory, as much of it as the core talks to: hashes, strings, lists,
// sets and sorted sets, time to live as it was last set (nothing expires by
// itself), WATCH/MULTI/EXEC per connection. Answers as Redis 7 does, WRONGTYPE
// included. A value: a copy is a snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/redis/reply.h"

namespace entitle::test {

class MemoryRedis {
 public:
  using Hash = std::map<std::string, std::string>;
  using List = std::vector<std::string>;  // head first
  using Set = std::set<std::string>;
  struct SortedSet {
    std::map<std::string, std::string> scores;
    bool operator==(const SortedSet&) const = default;
  };
  using Value = std::variant<std::string, Hash, List, Set, SortedSet>;

  // One connection's WATCH and MULTI state.
  struct Connection {
    std::map<std::string, std::uint64_t> watched;
    bool multi = false;
    bool abort = false;  // a command was refused while queueing
    std::vector<Command> queued;
  };

  Reply run(Connection& connection, const Command& command);
  Reply run(const Command& command);  // on a connection of its own

  // Every write is refused with this error from now on; empty: no more.
  void refuse_writes(std::string error) { refusal_ = std::move(error); }

  // For looking at the outcome. Null when there is no such key or field.
  const Value* find(const std::string& key) const;
  std::optional<std::string> field(const std::string& key,
                                   const std::string& name) const;
  std::optional<std::int64_t> ttl(const std::string& key) const;
  std::vector<std::string> keys() const;
  // All values as text; equal for equal states.
  std::string dump() const;
  std::size_t hash() const;  // of the same
  // Whether EXEC on this connection would go through.
  bool watch_holds(const Connection& connection) const;
  std::size_t commands() const { return commands_; }

 private:
  struct Entry {
    Value value;
    std::optional<std::int64_t> ttl;
    mutable std::optional<std::size_t> hash;  // of the value, once asked for
  };
  Reply execute(const Command& command);
  Reply exec(Connection& connection);
  Reply hash_command(const Command& command);
  Reply string_command(const Command& command);
  Reply list_command(const Command& command);
  Reply set_command(const Command& command);
  Reply key_command(const Command& command);
  template <class T>
  T* open(const std::string& key, bool create);
  void touch(const std::string& key);

  std::map<std::string, Entry> entries_;
  std::map<std::string, std::uint64_t> versions_;
  std::string refusal_;
  std::size_t commands_ = 0;
};

}  // namespace entitle::test
