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
#include "core/credit/credit_map.h"
#include "core/stripe/facts.h"

namespace entitle::cli {

struct RequireLine {
  std::vector<std::string> names;
  std::string at;  // file:line
};

// What a location has from the levels above unless it says something itself.
struct Inherited {
  bool gated = false;
  bool optional = false;  // entitle optional: known, and not required
  bool dry_run = false;
  std::vector<RequireLine> require;
  std::string reauth;                    // entitle_reauth: its URI; empty: none
  std::string login_url;                 // entitle_login_url; empty: none
  std::vector<std::string> credentials;  // entitle_credentials: its words
  std::vector<std::string> bind;         // entitle_session_bind: its words
  std::vector<std::string> secret_files;  // entitle_webhook_secret_file: paths
};

struct Location : Inherited {
  std::string modifier;  // "", "=", "^~", "~", "~*", "@" for a named one
  std::string path;
  std::optional<Mode> webhook;
  bool status = false;    // entitle_status
  bool poll = false;      // entitle_poll
  bool internal = false;  // nobody outside reaches it
  std::string at;
  std::vector<Location> locations;
};

struct Listen {
  std::string address;  // as it was written: "80", "127.0.0.1:80", "unix:/x"
  bool tls = false;
};

struct Server {
  std::vector<std::string> names;
  std::vector<Listen> listens;
  std::string prefix = "entitle:";
  Mode mode = Mode::live;  // what its gates read
  GrantMap grants;
  CreditMap credits;
  Policy policy;
  std::vector<UserFrom> user_from = default_user_from();
  std::vector<std::string> key_files;     // entitle_session_key_file: paths
  std::string cookie = "__Host-entitle";  // entitle_session_cookie: its name
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
  std::vector<std::string> files;  // all that it was read from
};

// Throws Stop where a directive says what the module would refuse.
Site site_of(const ReadConf& conf);

}  // namespace entitle::cli
