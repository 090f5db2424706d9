// What Redis holds, read as it stands: one reader for each kind of key. An
// error of Redis' own is thrown as Stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "core/record/place.h"
#include "core/record/record.h"

namespace entitle::cli {

// Null: there is something, and it cannot be read.
std::optional<Record> record_of(const Context& context, const User& user);
std::optional<Place> place_of(const Context& context, std::string_view id);

// One member of a sorted set, oldest first.
struct Listed {
  std::string member;
  UnixTime since;
};
struct List {
  std::vector<Listed> members;  // at most as many as were asked for
  std::int64_t total = 0;
};
List list_at(const Context& context, const std::string& key, std::size_t most);

// What became of an event, as `event:<id>` says.
struct EventFate {
  std::string event;
  std::string outcome;
  std::string place;
  std::optional<User> user;
  std::optional<UnixTime> stored;  // when it was told last
};
std::optional<EventFate> fate_of(const Context& context,
                                 const std::string& event);
// The newest of them, newest first. `all` is false: there was no time to look
// at every key.
struct Fates {
  std::vector<EventFate> newest;
  std::int64_t total = 0;
  bool all = true;
};
Fates newest_fates(const Context& context, std::size_t most);

// A line of a record's log.
struct LogLine {
  UnixTime time{};
  std::string event, type, outcome, place;
  std::vector<std::string> before, after;
  std::int64_t version = 0;
  std::string json;  // as it stands
};
std::vector<LogLine> log_of(const Context& context, const User& user,
                            std::size_t most);

// Goes through the keys of all primaries that match, some at a time; `look` may
// ask the node that has them, and says whether to go on. False: the time was
// over before all were seen.
using LookAtKeys =
    std::function<bool(Connection& node, const std::vector<std::string>& keys)>;
bool each_key(const Context& context, const std::string& pattern,
              std::chrono::milliseconds time, const LookAtKeys& look);
// Text in which no byte means anything to Redis' MATCH.
std::string literal_pattern(std::string_view text);

}  // namespace entitle::cli
