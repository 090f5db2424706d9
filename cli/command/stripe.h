// The commands that ask Stripe, and what they take: docs/entitlectl.md.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "cli/command/agree.h"
#include "cli/command/command.h"
#include "cli/kept/context.h"
#include "cli/stripe/api.h"

namespace entitle::cli {

struct ReconcileOptions : WriteOptions {
  StripeSettings stripe;
  bool heal = false;
  bool import = false;
  bool resume = false;
  std::string resume_at;  // empty: where the last one was cut off
  std::string customer;
  std::string since;
  std::string metrics;  // a file
  std::size_t most = 100;
};
// What Stripe says beside what is kept; with heal or import, keeps it.
Answer reconcile(const Context& context, const ReconcileOptions& options,
                 bool as_json);

struct ReplayOptions : WriteOptions {
  StripeSettings stripe;
  std::vector<std::string> ids;
  bool missing = false;
  std::string since;
  std::string through;      // a webhook's URL; empty: straight into Redis
  std::string secret_file;  // empty: the configured one
};
// Stripe's events again: those that are missing, of some time, or by name.
Answer replay(const Context& context, const ReplayOptions& options,
              bool as_json);

struct CheckOptions : WriteOptions {
  StripeSettings stripe;
  bool with_stripe = false;
  bool fix = false;  // adds event types to the endpoint, and takes none away
  bool ping = false;
  std::string url;      // the webhook's; empty: as the configuration says
  std::string status;   // entitle_status'; empty: the same
  std::string metrics;  // a file
};
// Whether what a purchase goes through is set up.
Answer check(const Context& context, const CheckOptions& options, bool as_json);

struct SendOptions {
  std::string type;
  std::string user;
  std::string identifier;   // empty: one that a grant names
  std::string url;          // the webhook's; empty: as the configuration says
  std::string secret_file;  // empty: the configured one
};
// A test event through the whole route. Refuses live.
Answer send(const Context& context, const SendOptions& options, bool as_json);

struct SetupOptions : WriteOptions {
  StripeSettings stripe;
  std::string url;
  std::string secret_file;  // where a new endpoint's secret is appended
};
// What is needed at Stripe and in nginx's configuration; with --yes makes the
// endpoint, where there is none.
Answer setup(const Context& context, const SetupOptions& options, bool as_json);

// Adds them all; `run` is what the one that was named does.
void add_stripe_commands(CLI::App& app, const CommonOptions& common,
                         std::function<Answer()>& run);

}  // namespace entitle::cli
