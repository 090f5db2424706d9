// What a configuration says about entitle: where things are kept, what gives
// what, and who is let in where. Inheritance is nginx's: what a level says
// replaces what is above it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/conf/settings.h"
#include "cli/conf/source.h"
#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/stripe/facts.h"

namespace entitle::cli {

struct RequireLine {
  std::vector<std::string> names;
  std::string at;  // file:line
};

struct Location {
  std::string modifier;  // "", "=", "^~", "~", "~*", "@" for a named one
  std::string path;
  bool gated = false;
  bool optional = false;  // entitle optional: known, and not required
  std::vector<RequireLine> require;
  std::optional<Mode> webhook;
  std::vector<std::string> secret_files;  // entitle_webhook_secret_file: paths
  std::string at;
  std::vector<Location> locations;
};

struct Server {
  std::vector<std::string> names;
  std::vector<std::string> listens;
  std::string prefix = "entitle:";
  Mode mode = Mode::live;  // what its gates read
  GrantMap grants;
  Policy policy;
  std::vector<UserFrom> user_from = default_user_from();
  std::vector<std::string> key_files;  // entitle_session_key_file: paths
  Location root;  // what the server says of all its locations; their tree
  std::string at;

  std::string name() const;  // for people
  bool has_gate() const;
  std::vector<Mode> webhooks() const;  // whose events it takes
};

struct Site {
  RedisSettings redis;
  std::vector<Server> servers;
  std::string from;  // where it was read; empty: there is no configuration
};

// Throws Stop where a directive says what the module would refuse.
Site site_of(const ReadConf& conf);

}  // namespace entitle::cli
