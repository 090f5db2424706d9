#include "lua-free-tests/support/memory_redis.h"

#include <algorithm>
#include <array>
#include <functional>

namespace entitle::test {
namespace {

Reply ok() { return {Reply::Type::status, 0, "OK", {}}; }
Reply nil() { return {}; }
Reply integer(std::int64_t value) {
  return {Reply::Type::integer, value, {}, {}};
}
Reply error(std::string text) {
  return {Reply::Type::error, 0, std::move(text), {}};
}
Reply text(std::string value) {
  return {Reply::Type::string, 0, std::move(value), {}};
}
Reply wrong_type() {
  return error(
      "WRONGTYPE Operation against a key holding the wrong kind of value");
}
template <class Range>
Reply list(const Range& range) {
  Reply reply{Reply::Type::array, 0, {}, {}};
  for (const std::string& item : range) reply.elements.push_back(text(item));
  return reply;
}

// ZRANGE key first last [WITHSCORES]
Reply range(const MemoryRedis::SortedSet& ordered, const Command& command) {
  std::vector<std::pair<std::int64_t, std::string>> all;
  for (const auto& [member, score] : ordered.scores) {
    all.emplace_back(std::stoll(score), member);
  }
  std::sort(all.begin(), all.end());
  MemoryRedis::List flat;
  const auto last = static_cast<std::size_t>(std::stoll(command.at(3)));
  for (std::size_t i = std::stoul(command.at(2)); i < all.size() && i <= last;
       i++) {
    flat.push_back(all[i].second);
    if (command.size() > 4) flat.push_back(std::to_string(all[i].first));
  }
  return list(flat);
}

template <std::size_t N>
bool is_one_of(const std::string& word,
               const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 18> kWrites = {
    "HSET",    "HDEL",  "HINCRBY",  "SET",   "DEL",    "EXPIRE",
    "PERSIST", "LPUSH", "RPUSH",    "LTRIM", "SADD",   "SREM",
    "ZADD",    "ZREM",  "RENAMENX", "COPY",  "INCRBY", "EXPIREAT"};

}  // namespace

template <class T>
T* MemoryRedis::open(const std::string& key, bool create) {
  if (create) entries_.try_emplace(key, Entry{T{}, std::nullopt, std::nullopt});
  auto entry = entries_.find(key);
  if (entry == entries_.end()) return nullptr;
  return std::get_if<T>(&entry->second.value);
}

void MemoryRedis::touch(const std::string& key) {
  versions_[key]++;
  auto entry = entries_.find(key);
  if (entry != entries_.end()) entry->second.hash.reset();
}

Reply MemoryRedis::run(const Command& command) {
  Connection connection;
  return run(connection, command);
}

Reply MemoryRedis::run(Connection& connection, const Command& command) {
  commands_++;
  const std::string& word = command.at(0);
  if (word == "EXEC") return exec(connection);
  if (connection.multi) {
    if (!refusal_.empty() && is_one_of(word, kWrites)) {
      connection.abort = true;
      return error(refusal_);
    }
    connection.queued.push_back(command);
    return {Reply::Type::status, 0, "QUEUED", {}};
  }
  if (word == "MULTI") {
    connection.multi = true;
    return ok();
  }
  if (word == "UNWATCH") {
    connection.watched.clear();
    return ok();
  }
  if (word == "WATCH") {
    for (std::size_t i = 1; i < command.size(); i++) {
      connection.watched.try_emplace(command[i], versions_[command[i]]);
    }
    return ok();
  }
  if (!refusal_.empty() && is_one_of(word, kWrites)) return error(refusal_);
  return execute(command);
}

Reply MemoryRedis::exec(Connection& connection) {
  Connection done;
  std::swap(done, connection);
  if (!done.multi) return error("ERR EXEC without MULTI");
  if (done.abort) {
    return error("EXECABORT Transaction discarded because of previous errors.");
  }
  if (!watch_holds(done)) return nil();
  Reply reply{Reply::Type::array, 0, {}, {}};
  for (const Command& command : done.queued) {
    reply.elements.push_back(execute(command));
  }
  return reply;
}

bool MemoryRedis::watch_holds(const Connection& connection) const {
  return std::all_of(connection.watched.begin(), connection.watched.end(),
                     [&](const auto& watched) {
                       auto now = versions_.find(watched.first);
                       return now != versions_.end() &&
                              now->second == watched.second;
                     });
}

Reply MemoryRedis::execute(const Command& command) {
  const std::string& word = command[0];
  if (word.starts_with("H")) return hash_command(command);
  if (word == "GET" || word == "SET" || word == "INCRBY") {
    return string_command(command);
  }
  if (word.starts_with("L") || word == "RPUSH") return list_command(command);
  if (word.starts_with("S") || word.starts_with("Z")) {
    return set_command(command);
  }
  return key_command(command);
}

Reply MemoryRedis::hash_command(const Command& command) {
  const std::string& word = command[0];
  const std::string& key = command.at(1);
  bool writes = word == "HSET" || word == "HINCRBY";
  Hash* hash = open<Hash>(key, writes);
  if (hash == nullptr) {
    if (entries_.contains(key)) return wrong_type();
    if (word == "HGETALL") return list(List());
    return word == "HGET" ? nil() : integer(0);
  }
  if (word == "HGETALL") {
    List flat;
    for (const auto& [name, value] : *hash) {
      flat.push_back(name);
      flat.push_back(value);
    }
    return list(flat);
  }
  if (word == "HGET") {
    auto found = hash->find(command.at(2));
    return found == hash->end() ? nil() : text(found->second);
  }
  touch(key);
  if (word == "HSET") {
    std::int64_t added = 0;
    for (std::size_t i = 2; i + 1 < command.size(); i += 2) {
      added += hash->insert_or_assign(command[i], command[i + 1]).second;
    }
    return integer(added);
  }
  if (word == "HINCRBY") {
    std::string& value = (*hash)[command.at(2)];
    std::int64_t number = value.empty() ? 0 : std::stoll(value);
    number += std::stoll(command.at(3));
    value = std::to_string(number);
    return integer(number);
  }
  if (word == "HDEL") {
    std::int64_t removed = 0;
    for (std::size_t i = 2; i < command.size(); i++) {
      removed += static_cast<std::int64_t>(hash->erase(command[i]));
    }
    if (hash->empty()) entries_.erase(key);
    return integer(removed);
  }
  return error("ERR unknown command");
}

Reply MemoryRedis::string_command(const Command& command) {
  const std::string& key = command.at(1);
  if (command[0] == "GET") {
    if (!entries_.contains(key)) return nil();
    std::string* value = open<std::string>(key, false);
    return value == nullptr ? wrong_type() : text(*value);
  }
  if (command[0] == "INCRBY") {
    std::string* value = open<std::string>(key, true);
    if (value == nullptr) return wrong_type();
    const std::int64_t before = value->empty() ? 0 : std::stoll(*value);
    *value = std::to_string(before + std::stoll(command.at(2)));
    touch(key);
    return integer(std::stoll(*value));
  }
  Entry entry{command.at(2), std::nullopt, std::nullopt};
  for (std::size_t i = 3; i < command.size(); i++) {
    if (command[i] == "EX") entry.ttl = std::stoll(command.at(++i));
    if (command[i] == "NX" && entries_.contains(key)) return nil();
  }
  entries_.insert_or_assign(key, std::move(entry));
  touch(key);
  return ok();
}

Reply MemoryRedis::list_command(const Command& command) {
  const std::string& key = command.at(1);
  const bool pushes = command[0] == "LPUSH" || command[0] == "RPUSH";
  List* items = open<List>(key, pushes);
  if (items == nullptr) {
    return entries_.contains(key) ? wrong_type() : list(List());
  }
  if (command[0] == "LRANGE") return list(*items);
  touch(key);
  if (pushes) {
    for (std::size_t i = 2; i < command.size(); i++) {
      const bool front = command[0] == "LPUSH";
      items->insert(front ? items->begin() : items->end(), command[i]);
    }
    return integer(static_cast<std::int64_t>(items->size()));
  }
  auto last = static_cast<std::size_t>(std::stoll(command.at(3)));
  if (items->size() > last + 1) items->resize(last + 1);
  return ok();
}

Reply MemoryRedis::set_command(const Command& command) {
  const std::string& word = command[0];
  const std::string& key = command.at(1);
  if (word.starts_with("S")) {
    Set* members = open<Set>(key, word == "SADD");
    if (members == nullptr) {
      if (entries_.contains(key)) return wrong_type();
      bool counts = word == "SREM" || word == "SISMEMBER";
      return counts ? integer(0) : list(List());
    }
    if (word == "SISMEMBER") return integer(members->contains(command.at(2)));
    if (word == "SMEMBERS") return list(*members);
    if (word == "SRANDMEMBER") {  // chance has it that they are the first
      List some(members->begin(), members->end());
      some.resize(
          std::min<std::size_t>(some.size(), std::stoul(command.at(2))));
      return list(some);
    }
    touch(key);
    if (word == "SREM") {
      auto removed = static_cast<std::int64_t>(members->erase(command.at(2)));
      if (members->empty()) entries_.erase(key);
      return integer(removed);
    }
    members->insert(command.begin() + 2, command.end());
    return integer(1);
  }
  SortedSet* ordered = open<SortedSet>(key, word == "ZADD");
  if (ordered == nullptr) {
    if (entries_.contains(key)) return wrong_type();
    if (word == "ZSCORE") return nil();
    return word == "ZRANGE" ? list(List()) : integer(0);
  }
  if (word == "ZRANGE") return range(*ordered, command);
  if (word == "ZSCORE") {
    auto found = ordered->scores.find(command.at(2));
    return found == ordered->scores.end() ? nil() : text(found->second);
  }
  // What changes nothing leaves WATCH alone.
  if (word == "ZADD") {  // ZADD key NX score member
    bool added = ordered->scores.emplace(command.at(4), command.at(3)).second;
    if (added) touch(key);
    return integer(added);
  }
  auto removed =
      static_cast<std::int64_t>(ordered->scores.erase(command.at(2)));
  if (removed != 0) touch(key);
  if (ordered->scores.empty()) entries_.erase(key);
  return integer(removed);
}

Reply MemoryRedis::key_command(const Command& command) {
  const std::string& word = command[0];
  const std::string& key = command.at(1);
  auto entry = entries_.find(key);
  bool exists = entry != entries_.end();
  if (word == "EXPIRE" || word == "EXPIREAT") {
    if (!exists) return integer(0);
    entry->second.ttl = std::stoll(command.at(2));
    touch(key);
    return integer(1);
  }
  if (word == "PERSIST") {
    if (!exists || !entry->second.ttl) return integer(0);
    entry->second.ttl.reset();
    touch(key);
    return integer(1);
  }
  if (word == "DEL") {
    if (exists) touch(key);
    entries_.erase(key);
    return integer(exists);
  }
  if (word == "EXISTS") return integer(exists);
  if (word == "TYPE") {
    constexpr std::array kTypes = {"string", "hash", "list", "set", "zset"};
    return {Reply::Type::status,
            0,
            exists ? kTypes[entry->second.value.index()] : "none",
            {}};
  }
  if (word == "COPY") {  // COPY source destination
    if (!exists || entries_.contains(command.at(2))) return integer(0);
    entries_.insert_or_assign(command.at(2), entry->second);
    touch(command.at(2));
    return integer(1);
  }
  if (word == "RENAMENX") {
    if (!exists) return error("ERR no such key");
    if (entries_.contains(command.at(2))) return integer(0);
    Entry moved = std::move(entry->second);
    entries_.erase(entry);
    entries_.insert_or_assign(command.at(2), std::move(moved));
    touch(key);
    touch(command.at(2));
    return integer(1);
  }
  return error("ERR unknown command '" + word + "'");
}

const MemoryRedis::Value* MemoryRedis::find(const std::string& key) const {
  auto entry = entries_.find(key);
  return entry == entries_.end() ? nullptr : &entry->second.value;
}

std::optional<std::string> MemoryRedis::field(const std::string& key,
                                              const std::string& name) const {
  const Value* value = find(key);
  const Hash* hash = value == nullptr ? nullptr : std::get_if<Hash>(value);
  if (hash == nullptr) return std::nullopt;
  auto found = hash->find(name);
  if (found == hash->end()) return std::nullopt;
  return found->second;
}

std::optional<std::int64_t> MemoryRedis::ttl(const std::string& key) const {
  auto entry = entries_.find(key);
  return entry == entries_.end() ? std::nullopt : entry->second.ttl;
}

std::vector<std::string> MemoryRedis::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, entry] : entries_) names.push_back(key);
  return names;
}

namespace {

struct Print {
  std::string& out;
  void operator()(const std::string& value) { out += value; }
  void operator()(const MemoryRedis::Hash& hash) {
    for (const auto& [name, value] : hash) out += name + '=' + value + ' ';
  }
  void operator()(const MemoryRedis::List& items) {
    for (const std::string& item : items) out += item + ' ';
  }
  void operator()(const MemoryRedis::Set& members) {
    for (const std::string& member : members) out += member + ' ';
  }
  void operator()(const MemoryRedis::SortedSet& ordered) {
    for (const auto& [member, score] : ordered.scores) {
      out += member + '=' + score + ' ';
    }
  }
};

}  // namespace

std::string MemoryRedis::dump() const {
  std::string out;
  for (const auto& [key, entry] : entries_) {
    out += key + ": ";
    std::visit(Print{out}, entry.value);
    out += '\n';
  }
  return out;
}

std::size_t MemoryRedis::hash() const {
  std::string all;
  for (const auto& [key, entry] : entries_) {
    if (!entry.hash) {
      std::string text = key + ' ';
      std::visit(Print{text}, entry.value);
      entry.hash = std::hash<std::string>()(text);
    }
    all.append(reinterpret_cast<const char*>(&*entry.hash),
               sizeof(std::size_t));
  }
  return std::hash<std::string>()(all);
}

}  // namespace entitle::test
