#include "cli/kept/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/base/progress.h"
#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/percent.h"
#include "core/json/reader.h"
#include "core/record/fields.h"

namespace entitle::cli {
namespace {

constexpr Seconds kEventLifetime = std::chrono::hours(24 * 35);
constexpr std::chrono::milliseconds kFatesTime{5000};

void read_strings(JsonReader& in, std::vector<std::string>& into) {
  in.array([&] { in.string(into.emplace_back()); });
}

LogLine log_line(std::string json) {
  LogLine line;
  JsonReader in(json);
  std::string ignored;
  in.object([&](std::string_view key) {
    std::int64_t time = 0;
    if (key == "time") {
      in.integer(time);
      line.time = unix_time(time);
    } else if (key == "event") {
      in.string(line.event);
    } else if (key == "type") {
      in.string(line.type);
    } else if (key == "outcome") {
      in.string(line.outcome);
    } else if (key == "place") {
      in.string(line.place);
    } else if (key == "before") {
      read_strings(in, line.before);
    } else if (key == "after") {
      read_strings(in, line.after);
    } else if (key == "version") {
      in.integer(line.version);
    } else {
      in.value(ignored);
    }
  });
  line.json = std::move(json);
  return line;
}

EventFate fate(std::string event, const Reply& value, const Reply& ttl,
               UnixTime now) {
  EventFate fate;
  fate.event = std::move(event);
  JsonReader in(value.text);
  std::string user, ignored;
  in.object([&](std::string_view key) {
    if (key == "outcome") {
      in.string(fate.outcome);
    } else if (key == "place") {
      in.string(fate.place);
    } else if (key == "user") {
      in.string(user);
    } else {
      in.value(ignored);
    }
  });
  if (std::optional<std::string> decoded = percent_decode(user)) {
    fate.user = User::from(*decoded);
  }
  if (ttl.type == Reply::Type::integer && ttl.integer > 0) {
    fate.stored = now - (kEventLifetime - Seconds{ttl.integer});
  }
  return fate;
}

}  // namespace

std::optional<Record> record_of(const Context& context, const User& user) {
  const std::string key = context.keys().record(user);
  return Record::decode(context.redis().ask(key, {"HGETALL", key}));
}

std::optional<Place> place_of(const Context& context, std::string_view id) {
  const std::string key = context.keys().place(id);
  return Place::decode(context.redis().ask(key, {"HGETALL", key}));
}

List list_at(const Context& context, const std::string& key, std::size_t most) {
  List list;
  std::vector<Command> commands{
      {"ZCARD", key},
      {"ZRANGE", key, "0", std::to_string(most - 1), "WITHSCORES"}};
  const std::vector<Reply> replies =
      context.redis().ask(key, std::move(commands));
  for (const Reply& reply : replies) {
    if (!reply.is_error()) continue;
    throw Stop(Exit::cannot_tell, fmt::format("{} cannot be read: {}", key,
                                              printable(reply.text)));
  }
  list.total = replies[0].integer;
  const std::vector<Reply>& items = replies[1].elements;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    std::int64_t since = 0;
    read_integer(items[i + 1].text, since);
    list.members.push_back({items[i].text, unix_time(since)});
  }
  return list;
}

std::optional<EventFate> fate_of(const Context& context,
                                 const std::string& event) {
  const std::string key = context.keys().event(event);
  std::vector<Command> commands{{"GET", key}, {"TTL", key}};
  const std::vector<Reply> replies =
      context.redis().ask(key, std::move(commands));
  if (replies[0].is_nil()) return std::nullopt;
  return fate(event, replies[0], replies[1], context.now());
}

Fates newest_fates(const Context& context, std::size_t most) {
  const std::string begin = context.keys().event("");
  Fates fates;
  Progress progress("events looked at");
  std::vector<std::pair<std::int64_t, std::string>> newest;  // by what is left
  const auto look = [&](Connection& node,
                        const std::vector<std::string>& keys) {
    std::vector<Command> commands;
    for (const std::string& key : keys) commands.push_back({"TTL", key});
    const std::vector<Reply> left = node.ask(commands);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      newest.emplace_back(left[i].integer, keys[i]);
    }
    fates.total += static_cast<std::int64_t>(keys.size());
    progress.add(static_cast<std::int64_t>(keys.size()));
    std::sort(newest.rbegin(), newest.rend());
    // A key may come twice.
    newest.erase(std::unique(newest.begin(), newest.end()), newest.end());
    newest.resize(std::min(newest.size(), most));
    return true;
  };
  fates.all = each_key(context, literal_pattern(begin) + '*', kFatesTime, look);
  for (const auto& [left, key] : newest) {
    if (auto one = fate_of(context, key.substr(begin.size()))) {
      fates.newest.push_back(*std::move(one));
    }
  }
  return fates;
}

std::vector<LogLine> log_of(const Context& context, const User& user,
                            std::size_t most) {
  const std::string key = context.keys().log(user);
  const Reply reply = context.redis().ask(
      key, Command{"LRANGE", key, "0", std::to_string(most - 1)});
  std::vector<LogLine> lines;
  for (const Reply& line : reply.elements) lines.push_back(log_line(line.text));
  return lines;
}

bool each_key(const Context& context, const std::string& pattern,
              std::chrono::milliseconds time, const LookAtKeys& look) {
  const Clock::time_point until = Clock::now() + time;
  bool in_time = true;
  bool go_on = true;
  context.redis().each_primary([&](Connection& node) {
    std::string cursor = "0";
    do {
      if (!go_on || !in_time) return;
      in_time = Clock::now() < until;
      const std::vector<Command> command{
          {"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}};
      const Reply reply = node.ask(command).front();
      if (reply.elements.size() != 2) throw Unreachable("SCAN: " + reply.text);
      cursor = reply.elements[0].text;
      std::vector<std::string> keys;
      for (const Reply& key : reply.elements[1].elements) {
        keys.push_back(key.text);
      }
      if (!keys.empty()) go_on = look(node, keys);
    } while (cursor != "0");
  });
  return in_time || !go_on;
}

std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (char c : text) {
    if (std::string_view("*?[]\\^-").find(c) != std::string_view::npos) {
      pattern += '\\';
    }
    pattern += c;
  }
  return pattern;
}

}  // namespace entitle::cli
