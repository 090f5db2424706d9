// What a command works on: one prefix and mode in one Redis, and what the
// servers that share it grant. Nothing is connected before it is asked.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conf/site.h"
#include "cli/redis/client.h"
#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/delivery/options.h"
#include "core/record/keys.h"

namespace entitle::cli {

// The options that every command has.
struct CommonOptions {
  std::string config;  // a file; empty: ask nginx
  std::string nginx = "nginx";
  std::vector<std::pair<std::string, std::string>> redis;  // directive, value
  std::optional<std::string> prefix;
  std::optional<Mode> mode;
  std::string server;  // its name; empty: all
  bool json = false;
};

class Context {
 public:
  // Reads the configuration and chooses. Throws Stop: it cannot be read, or
  // there are several to choose from.
  explicit Context(const CommonOptions& options);

  const std::string& prefix() const { return prefix_; }
  Mode mode() const { return mode_; }
  const Keys& keys() const { return keys_; }
  Client& redis() const { return *redis_; }
  UnixTime now() const { return std::chrono::floor<Seconds>(now_); }

  const Site& site() const { return site_; }
  // Null: no configuration was read, so nobody knows the grants.
  const GrantMap* grants() const { return configured_ ? &grants_ : nullptr; }
  const Policy& policy() const { return policy_; }
  // Of the servers that share prefix and mode.
  const std::vector<const Server*>& servers() const { return servers_; }
  DeliveryOptions delivery_options() const;

  // "entitle:live", for people.
  std::string space() const;
  // What to put before the words of a command to have it act here again.
  std::string command(std::string_view words) const;

 private:
  void choose(const CommonOptions& options);
  void read_site(const CommonOptions& options);

  Site site_;
  bool configured_ = false;
  std::string prefix_ = "entitle:";
  Mode mode_ = Mode::live;
  std::string given_;  // options that were given, for command()
  GrantMap grants_;
  Policy policy_;
  std::vector<const Server*> servers_;
  Keys keys_;
  std::unique_ptr<Client> redis_;
  std::chrono::sys_time<std::chrono::milliseconds> now_;
};

}  // namespace entitle::cli
