#include "cli/conf/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/base/stop.h"
#include "core/base/decimal.h"

namespace entitle::cli {
namespace {

using Directives = std::vector<Directive>;

[[noreturn]] void refuse(const Directive& directive, std::string_view why) {
  throw Stop(Exit::cannot_tell, fmt::format("\"{}\" {} in {}", directive.name(),
                                            why, directive.at()));
}

const std::string& value_of(const Directive& directive) {
  if (directive.words.size() < 2) refuse(directive, "needs a value");
  return directive.words[1];
}

// The last of that name; nginx has no more than one.
const Directive* find(const Directives& directives, std::string_view name) {
  const Directive* found = nullptr;
  for (const Directive& directive : directives) {
    if (directive.name() == name) found = &directive;
  }
  return found;
}

std::vector<const Directive*> all(const Directives& directives,
                                  std::string_view name) {
  std::vector<const Directive*> found;
  for (const Directive& directive : directives) {
    if (directive.name() == name) found.push_back(&directive);
  }
  return found;
}

bool says_off(const Directive& directive) {
  return directive.words.size() == 2 && directive.words[1] == "off";
}

Seconds seconds_of(const Directive& directive) {
  return std::chrono::duration_cast<Seconds>(time_of(value_of(directive)));
}

// --- a server's --------------------------------------------------------------

void take_policy(const Directives& said, Policy& policy) {
  if (auto* d = find(said, "entitle_grace")) policy.grace = seconds_of(*d);
  if (auto* d = find(said, "entitle_past_due_grace")) {
    policy.past_due_grace = seconds_of(*d);
  }
  if (auto* d = find(said, "entitle_provisional")) {
    policy.provisional = says_off(*d) ? Seconds{0} : seconds_of(*d);
  }
  auto revokes = [&](std::string_view name, bool& value) {
    if (auto* d = find(said, name)) value = value_of(*d) == "revoke";
  };
  revokes("entitle_refund", policy.refund_revokes);
  revokes("entitle_dispute", policy.dispute_revokes);
  revokes("entitle_pause_collection", policy.pause_revokes);
}

void take_grants(const Directives& said, GrantMap& grants) {
  const auto lines = all(said, "entitle_grant");
  if (lines.empty()) return;
  grants = GrantMap();
  for (const Directive* line : lines) {
    if (says_off(*line)) continue;
    const std::string& name = value_of(*line);
    for (std::size_t i = 2; i < line->words.size(); ++i) {
      std::optional<Identifier> identifier = Identifier::parse(line->words[i]);
      if (!identifier) {
        refuse(*line, fmt::format("names no identifier: {}", line->words[i]));
      }
      grants.add(name, *std::move(identifier));
    }
  }
}

void take_credits(const Directives& said, Server& server) {
  const auto lines = all(said, "entitle_credit");
  if (!lines.empty()) server.credits = CreditMap();
  for (const Directive* line : lines) {
    if (says_off(*line)) continue;
    const std::string& name = value_of(*line);
    const bool per_period = line->words.back() == "per=period";
    for (std::size_t i = 2; i < line->words.size() - (per_period ? 1 : 0);
         ++i) {
      auto put = parse_credit(line->words[i]);
      if (!put) {
        refuse(*line, fmt::format("names no identifier and number: {}",
                                  line->words[i]));
      }
      server.credits.add(name, put->first, put->second, per_period);
    }
  }
  for (const Identifier& identifier : server.credits.identifiers()) {
    server.grants.also_knows(identifier);
  }
}

void take_user_from(const Directives& said, std::vector<UserFrom>& user_from) {
  const Directive* line = find(said, "entitle_user_from");
  if (line == nullptr) return;
  if (says_off(*line)) {
    user_from = default_user_from();
    return;
  }
  value_of(*line);
  user_from.clear();
  for (std::size_t i = 1; i < line->words.size(); ++i) {
    std::optional<UserFrom> from = parse_user_from(line->words[i]);
    if (!from) refuse(*line, "names nothing that could name a user");
    user_from.push_back(*std::move(from));
  }
}

void take_files(const Directives& said, std::string_view name,
                std::vector<std::string>& files) {
  const auto lines = all(said, name);
  if (!lines.empty()) files.clear();
  for (const Directive* line : lines) {
    if (!says_off(*line)) files.push_back(value_of(*line));
  }
}

Mode mode_of(const Directive& directive) {
  const std::string& value = value_of(directive);
  if (value != "live" && value != "test") {
    refuse(directive, "must be live or test");
  }
  return value == "live" ? Mode::live : Mode::test;
}

void take_server_words(const Directives& said, Server& server) {
  if (auto* d = find(said, "entitle_redis_prefix")) {
    server.prefix = says_off(*d) ? "entitle:" : value_of(*d);
  }
  if (auto* d = find(said, "entitle_mode")) server.mode = mode_of(*d);
  take_policy(said, server.policy);
  take_grants(said, server.grants);
  take_credits(said, server);
  take_user_from(said, server.user_from);
  take_files(said, "entitle_session_key_file", server.key_files);
  if (auto* d = find(said, "entitle_session_cookie")) {
    server.cookie = says_off(*d) ? Server().cookie : value_of(*d);
  }
}

// --- a location's ------------------------------------------------------------

// The words of one; `off` takes back what is above.
void take_word(const Directives& said, std::string_view name,
               std::string& value) {
  const Directive* line = find(said, name);
  if (line != nullptr) value = says_off(*line) ? "" : value_of(*line);
}

void take_words(const Directives& said, std::string_view name,
                std::vector<std::string>& words) {
  const Directive* line = find(said, name);
  if (line == nullptr) return;
  words.clear();
  if (!says_off(*line)) {
    words.assign(line->words.begin() + 1, line->words.end());
  }
}

bool is_metered(const Directives& said) {
  const Directive* meter = find(said, "entitle_meter");
  return meter != nullptr && !says_off(*meter);
}

void take_gate(const Directives& said, Inherited& location) {
  const auto lines = all(said, "entitle_require");
  bool requires_something = false;
  if (!lines.empty()) location.require.clear();
  for (const Directive* line : lines) {
    if (says_off(*line)) continue;
    requires_something = true;
    location.require.push_back(
        {{line->words.begin() + 1, line->words.end()}, line->at()});
  }
  if (auto* d = find(said, "entitle")) {
    location.gated = value_of(*d) != "off";
    location.optional = value_of(*d) == "optional";
  } else if (requires_something || is_metered(said) ||
             find(said, "entitle_poll") != nullptr) {
    location.gated = true;
    location.optional = false;
  }
  if (auto* d = find(said, "entitle_dry_run")) {
    location.dry_run = value_of(*d) == "on";
  }
  take_word(said, "entitle_reauth", location.reauth);
  take_word(said, "entitle_login_url", location.login_url);
  take_words(said, "entitle_credentials", location.credentials);
  take_words(said, "entitle_session_bind", location.bind);
}

Location location_of(const Directive& directive, const Location& above);

void take_location_words(const Directives& said, Location& location) {
  take_gate(said, location);
  take_files(said, "entitle_webhook_secret_file", location.secret_files);
  if (auto* d = find(said, "entitle_webhook")) location.webhook = mode_of(*d);
  location.status = find(said, "entitle_status") != nullptr;
  location.poll = find(said, "entitle_poll") != nullptr;
  location.internal = find(said, "internal") != nullptr;
  // These never inherit a gate.
  const bool apart =
      location.webhook || location.status || find(said, "entitle_logout");
  if (apart) {
    location.gated = false;
    location.require.clear();
  }
  for (const Directive* inner : all(said, "location")) {
    location.locations.push_back(location_of(*inner, location));
  }
}

Location location_of(const Directive& directive, const Location& above) {
  const Inherited& inherited = above;
  Location location;
  static_cast<Inherited&>(location) = inherited;
  location.at = directive.at();
  const auto& words = directive.words;
  if (words.size() == 3) {
    location.modifier = words[1];
    location.path = words[2];
  } else {
    location.path = value_of(directive);
    // nginx takes `location =/x` as well.
    for (std::string_view modifier : {"=", "^~", "~*", "~"}) {
      if (location.path.starts_with(modifier)) {
        location.modifier = modifier;
        location.path.erase(0, modifier.size());
        break;
      }
    }
    if (location.path.starts_with('@')) location.modifier = "@";
  }
  take_location_words(directive.block, location);
  return location;
}

// --- all of it ---------------------------------------------------------------

Server server_of(const Directive& directive, const Server& above) {
  Server server = above;
  server.at = directive.at();
  const Directives& said = directive.block;
  for (const Directive* d : all(said, "server_name")) {
    server.names.insert(server.names.end(), d->words.begin() + 1,
                        d->words.end());
  }
  for (const Directive* d : all(said, "listen")) {
    const auto& words = d->words;
    server.listens.push_back(
        {value_of(*d),
         std::find(words.begin(), words.end(), "ssl") != words.end()});
  }
  take_server_words(said, server);
  server.root.at = directive.at();
  take_location_words(said, server.root);
  return server;
}

void take_redis(const ReadConf& conf, const Directives& said,
                RedisSettings& redis) {
  const NamedFiles files{
      [&](const std::string& name) { return read_named_file(conf, name); },
      [&](const std::string& name) {
        return name.starts_with('/') ? name : conf.folder + '/' + name;
      }};
  for (const Directive& directive : said) {
    if (!directive.name().starts_with("entitle_redis")) continue;
    take_redis_word(redis, directive.name(), value_of(directive), files);
    if (directive.name() == "entitle_redis_wait" &&
        directive.words.size() == 3) {
      redis.wait_replicas = parse_decimal<int>(directive.words[1]).value_or(0);
      redis.wait_time = time_of(directive.words[2]);
    }
  }
}

// Names of files are relative to nginx's folder.
void make_whole(const std::string& folder, std::vector<std::string>& files) {
  for (std::string& file : files) {
    if (!file.starts_with('/')) file = folder + '/' + file;
  }
}

void make_whole(const std::string& folder, Location& location) {
  make_whole(folder, location.secret_files);
  for (Location& inner : location.locations) make_whole(folder, inner);
}

bool any_of(const Location& location, bool (*is)(const Location&)) {
  return is(location) ||
         std::any_of(location.locations.begin(), location.locations.end(),
                     [&](const Location& inner) { return any_of(inner, is); });
}

void add_webhooks(const Location& location, std::vector<Mode>& modes) {
  if (location.webhook) modes.push_back(*location.webhook);
  for (const Location& inner : location.locations) add_webhooks(inner, modes);
}

}  // namespace

std::string Server::name() const {
  if (!names.empty() && !names.front().empty()) return names.front();
  return listens.empty() ? at : listens.front().address;
}

bool Server::has_gate() const {
  return any_of(root, [](const Location& location) { return location.gated; });
}

std::vector<Mode> Server::webhooks() const {
  std::vector<Mode> modes;
  add_webhooks(root, modes);
  std::sort(modes.begin(), modes.end());
  modes.erase(std::unique(modes.begin(), modes.end()), modes.end());
  return modes;
}

Site site_of(const ReadConf& conf) {
  Site site;
  site.from = conf.from;
  site.files = conf.files;
  site.redis = default_redis();
  for (const Directive* http : all(conf.directives, "http")) {
    const Directives& said = http->block;
    take_redis(conf, said, site.redis);
    Server above;
    take_server_words(said, above);
    take_gate(said, above.root);
    take_files(said, "entitle_webhook_secret_file", above.root.secret_files);
    for (const Directive* server : all(said, "server")) {
      site.servers.push_back(server_of(*server, above));
      make_whole(conf.folder, site.servers.back().key_files);
      make_whole(conf.folder, site.servers.back().root);
    }
  }
  return site;
}

}  // namespace entitle::cli
