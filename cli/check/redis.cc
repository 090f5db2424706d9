#include <fmt/format.h>

#include <map>
#include <utility>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/kept/lookup.h"
#include "cli/kept/ping.h"
#include "core/record/fields.h"
#include "core/redis/info.h"
#include "core/redis/warnings.h"

namespace entitle::cli {
namespace {

// One of each kind of command that the module sends, about a key of ours.
std::vector<Command> commands_of_ours(const Context& context) {
  const std::string key = context.keys().webhook();
  return {{"HGETALL", key},
          {"HSET", key, "a", "b"},
          {"HDEL", key, "a"},
          {"WATCH", key},
          {"MULTI"},
          {"EXEC"},
          {"UNWATCH"},
          {"SET", key, "a"},
          {"GET", key},
          {"EXPIRE", key, "1"},
          {"TTL", key},
          {"LPUSH", key, "a"},
          {"LTRIM", key, "0", "1"},
          {"ZADD", key, "1", "a"},
          {"ZREM", key, "a"},
          {"SADD", key, "a"},
          {"SREM", key, "a"},
          {"SMEMBERS", key},
          {"CLIENT", "TRACKING", "on"},
          {"INFO"},
          {"ROLE"}};
}

// Redis 7 and later says whether somebody could, without doing it.
Check permissions(const Context& context, Connection& node) {
  const std::vector<Command> who{{"ACL", "WHOAMI"}};
  const Reply user = node.ask(who).front();
  if (user.is_error()) {
    return {"redis.permissions", Health::unknown,
            "Redis does not say who we are: " + printable(user.text),
            "allow +acl|whoami and +acl|dryrun, or try by a webhook"};
  }
  std::vector<Command> questions;
  for (const Command& command : commands_of_ours(context)) {
    Command question{"ACL", "DRYRUN", user.text};
    question.insert(question.end(), command.begin(), command.end());
    questions.push_back(std::move(question));
  }
  std::vector<std::string> denied;
  const std::vector<Reply> replies = node.ask(questions);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].is_error()) {
      return {
          "redis.permissions", Health::unknown,
          "Redis does not say what its user may: " + printable(replies[i].text),
          "allow +acl|dryrun, or try by a webhook"};
    }
    if (replies[i].text != "OK") denied.push_back(questions[i][3]);
  }
  if (denied.empty()) {
    return {"redis.permissions", Health::fine,
            fmt::format("user \"{}\" may all that is needed",
                        printable(user.text))};
  }
  return {"redis.permissions", Health::bad,
          fmt::format("user \"{}\" may not {}", printable(user.text),
                      listed(denied)),
          "allow those to that user: docs/redis.md has the whole line"};
}

void look_at_node(const Context& context, Connection& node, Checks& checks) {
  const std::vector<Command> questions{
      {"INFO", "memory"}, {"INFO", "persistence"}, {"INFO", "replication"}};
  std::string info;
  for (const Reply& reply : node.ask(questions)) info += reply.text;
  const std::string where = node.endpoint().text();
  if (!says_primary(info)) {
    checks.push_back({"redis.primary", Health::bad,
                      where + " is a replica, which takes no webhook",
                      "name the primary in entitle_redis, or its Sentinels"});
  } else {
    checks.push_back({"redis.primary", Health::fine, where});
  }
  for (const std::string& risk : storage_warnings(info)) {
    checks.push_back({"redis.storage", Health::bad, risk,
                      "docs/redis.md, \"Durability\", says what each costs"});
  }
  checks.push_back(permissions(context, node));
}

// Tried, by a key that is gone at once: what memory, a disk or replicas forbid
// no configuration tells.
Check writes(const Context& context) {
  const std::string key = context.keys().event(std::string(kOwnPing) + "Check");
  std::string error;
  try {
    const Reply reply =
        context.redis().ask(key, Command{"SET", key, "", "PX", "1"});
    if (reply.is_error()) error = reply.text;
  } catch (const Stop& stop) {
    error = stop.what();
  }
  if (error.empty()) return {"redis.writes", Health::fine, "it takes them"};
  const bool full = error.find("OOM") != std::string::npos;
  const bool read_only = error.find("READONLY") != std::string::npos;
  return {"redis.writes", Health::bad,
          (full ? "it is full: " : "it refuses to write: ") + printable(error),
          full ? "raise maxmemory in redis.conf (CONFIG SET maxmemory), or see "
                 "what else fills it (redis-cli --bigkeys); Stripe sends again "
                 "what was answered 503"
          : read_only
              ? "name the primary in entitle_redis, or its Sentinels"
              : "Redis' own log says why; Stripe sends again what was answered "
                "503"};
}

std::optional<UnixTime> time_in(std::map<std::string, std::string>& fields,
                                const char* name) {
  std::int64_t time = 0;
  if (!read_integer(fields[name], time) || time == 0) return std::nullopt;
  return unix_time(time);
}

// What the webhook says of itself.
Check heard(const Context& context) {
  std::map<std::string, std::string> fields;
  const std::string key = context.keys().webhook();
  each_field(context.redis().ask(key, Command{"HGETALL", key}),
             [&](const std::string& name, const std::string& value) {
               fields[name] = value;
               return true;
             });
  const auto applied = time_in(fields, "last_applied");
  const auto refused = time_in(fields, "last_refused");
  const auto received = time_in(fields, "last_received");
  if (refused && (!applied || *refused > *applied)) {
    return {"webhook.heard", Health::bad,
            fmt::format("the last that came, {} ago, was refused: {}",
                        text_of_span(context.now() - *refused),
                        printable(fields["last_refused_why"])),
            context.command("events") + " and nginx's error.log say more"};
  }
  const bool own = fields["last_received_event"].starts_with(kOwnPing);
  if (!received || (own && !applied)) {
    return {"webhook.heard", Health::unknown,
            "no event ever came under " + context.space(),
            "send one: in Stripe's dashboard, or by the Stripe CLI"};
  }
  return {"webhook.heard", Health::fine,
          fmt::format("the last event came {} ago",
                      text_of_span(context.now() - *received))};
}

Check waiting(const Context& context, const char* what,
              const std::string& key) {
  List list;
  try {
    list = list_at(context, key, 1);
  } catch (const Stop& stop) {
    return {what, Health::bad, stop.what(),
            "look at what wrote " + key + ", and move it aside"};
  }
  if (list.total == 0) return {what, Health::fine, "none"};
  return {what, Health::bad,
          fmt::format("{}, the oldest for {}", list.total,
                      text_of_span(context.now() - list.members.front().since)),
          context.command(what)};
}

}  // namespace

Checks check_redis(const Context& context) {
  Checks checks;
  try {
    context.redis().each_primary(
        [&](Connection& node) { look_at_node(context, node, checks); });
    checks.push_back(writes(context));
    checks.push_back(heard(context));
    checks.push_back(waiting(context, "parked", context.keys().parked()));
    checks.push_back(waiting(context, "unmatched", context.keys().unmatched()));
  } catch (const Stop& stop) {
    checks.push_back({"redis", Health::bad, stop.what(),
                      "look at entitle_redis and at Redis' own log"});
  }
  return checks;
}

}  // namespace entitle::cli
