// Walks what Stripe says now beside what is kept, and keeps what it says where
// that was asked for.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "cli/kept/context.h"
#include "cli/reconcile/progress.h"
#include "cli/stripe/api.h"

namespace entitle::cli {

struct WalkOptions {
  bool heal = false;              // else nothing is written
  bool import = false;            // nothing that only Redis knows is looked at
  std::string customer;           // empty: everybody's
  std::optional<UnixTime> since;  // only what was made since
  std::optional<Cursor> from;     // where another was cut off
  Tally tally;                    // and what that had counted
  UnixTime started{};
  std::size_t most = 100;  // how many findings are kept
};

struct Walked {
  Tally tally;
  // Why it did not finish; empty: it did. Then where it goes on.
  std::string why;
  Cursor cursor;
  // Lists that began anew: where they were to go on is nothing any more.
  std::set<Stage> begun_anew;
};

// Called after each page.
using Watching = std::function<void(Stage, const Tally&)>;

// Throws Stop where nothing was looked at: Stripe's mode, or account, is
// another one.
Walked walk(const Context& context, StripeApi& stripe,
            const WalkOptions& options, const Watching& watching);

}  // namespace entitle::cli
