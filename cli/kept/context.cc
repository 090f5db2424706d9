#include "cli/kept/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "cli/base/stop.h"
#include "cli/base/text.h"

namespace entitle::cli {
namespace {

struct Space {
  std::string prefix;
  Mode mode;
  auto operator<=>(const Space&) const = default;
};

bool is_named(const Server& server, const std::string& name) {
  return name.empty() || server.name() == name ||
         std::find(server.names.begin(), server.names.end(), name) !=
             server.names.end();
}

// Those that gates read, or, where there is no gate, that webhooks write.
std::set<Space> spaces_of(const std::vector<const Server*>& servers) {
  std::set<Space> read, written;
  for (const Server* server : servers) {
    if (server->has_gate()) read.insert({server->prefix, server->mode});
    for (Mode mode : server->webhooks()) {
      written.insert({server->prefix, mode});
    }
  }
  return read.empty() ? written : read;
}

bool uses(const Server& server, const std::string& prefix, Mode mode) {
  if (server.prefix != prefix) return false;
  if (server.has_gate()) return server.mode == mode;
  const std::vector<Mode> modes = server.webhooks();
  return std::find(modes.begin(), modes.end(), mode) != modes.end();
}

NamedFiles files_here() {
  return {[](const std::string& name) {
            return read_named_file(ReadConf{{}, {}, "."}, name);
          },
          [](const std::string& name) { return name; }};
}

}  // namespace

Context::Context(const CommonOptions& options)
    : keys_(prefix_, mode_),
      now_(std::chrono::floor<std::chrono::milliseconds>(
          std::chrono::system_clock::now())) {
  read_site(options);
  choose(options);
  keys_ = Keys(prefix_, mode_);
  redis_ = std::make_unique<Client>(site_.redis);
}

void Context::read_site(const CommonOptions& options) {
  configured_ = options.redis.empty() || !options.config.empty();
  if (!options.config.empty()) {
    site_ = site_of(conf_of_file(options.config));
    given_ += " --config " + shell_word(options.config);
  } else if (configured_) {
    site_ = site_of(conf_of_nginx(options.nginx));
    if (options.nginx != "nginx") given_ += " --nginx " + options.nginx;
  } else {
    site_.redis = default_redis();
  }
  for (const auto& [name, value] : options.redis) {
    take_redis_word(site_.redis, name, value, files_here());
    std::string option = name.substr(name.find('_') + 1);
    std::replace(option.begin(), option.end(), '_', '-');
    given_ += " --" + option + ' ' + shell_word(value);
  }
}

void Context::choose(const CommonOptions& options) {
  if (options.prefix) given_ += " --prefix " + shell_word(*options.prefix);
  if (options.mode) given_ += fmt::format(" --mode {}", name(*options.mode));
  if (!options.server.empty()) {
    given_ += " --server " + shell_word(options.server);
  }
  std::vector<const Server*> named;
  for (const Server& server : site_.servers) {
    if (is_named(server, options.server)) named.push_back(&server);
  }
  if (configured_ && named.empty() && !options.server.empty()) {
    throw Stop(Exit::usage, fmt::format("no server is named \"{}\" in {}",
                                        options.server, site_.from));
  }
  std::set<Space> spaces = spaces_of(named);
  std::erase_if(spaces, [&](const Space& space) {
    return (options.prefix && space.prefix != *options.prefix) ||
           (options.mode && space.mode != *options.mode);
  });
  if (spaces.size() > 1) {
    std::vector<std::string> all;
    for (const Space& space : spaces) {
      all.push_back(fmt::format("--prefix {} --mode {}", space.prefix,
                                entitle::name(space.mode)));
    }
    throw Stop(Exit::usage, fmt::format("{} has several: name one by --server, "
                                        "or by {}",
                                        site_.from, listed(all)));
  }
  if (!spaces.empty()) {
    prefix_ = spaces.begin()->prefix;
    mode_ = spaces.begin()->mode;
  } else if (configured_ && !options.prefix && !options.mode) {
    throw Stop(Exit::cannot_tell,
               site_.from + " has neither a gate nor a webhook of entitle");
  }
  prefix_ = options.prefix.value_or(prefix_);
  mode_ = options.mode.value_or(mode_);
  for (const Server* server : named) {
    if (!uses(*server, prefix_, mode_)) continue;
    if (servers_.empty()) policy_ = server->policy;
    servers_.push_back(server);
    grants_.add(server->grants);
  }
}

DeliveryOptions Context::delivery_options() const {
  std::random_device device;
  const RedisSettings& redis = site_.redis;
  return {keys_,
          policy_,
          &grants_,
          std::chrono::floor<std::chrono::milliseconds>(
              std::chrono::system_clock::now()),
          (std::uint64_t{device()} << 32) | device(),
          {redis.wait_replicas, redis.wait_time}};
}

std::string Context::space() const {
  return prefix_ + std::string(name(mode_));
}

std::string Context::command(std::string_view words) const {
  const std::size_t end = std::min(words.find(' '), words.size());
  return fmt::format("entitlectl {}{}{}", words.substr(0, end), given_,
                     words.substr(end));
}

}  // namespace entitle::cli
