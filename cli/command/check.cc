// entitlectl check: whether what a purchase goes through is set up.
#include "cli/check/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/base/textfile.h"
#include "cli/command/stripe.h"

namespace entitle::cli {
namespace {

std::string text_of(const Checks& checks) {
  Table table({"", "CHECK", ""});
  for (const Check& check : checks) {
    table.add({std::string(name(check.health)), check.name, check.says});
  }
  std::string text = table.text();
  text.erase(0, text.find('\n') + 1);
  for (const Check& check : checks) {
    if (check.health == Health::fine) continue;
    text += fmt::format("\n{}: {}\n    -> {}\n", check.name, check.says,
                        check.cure);
  }
  return text;
}

std::string json_of(const Context& context, const Checks& checks) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.key("checks").begin_array();
  for (const Check& check : checks) {
    out.begin_object()
        .text("check", check.name)
        .text("health", name(check.health))
        .text("says", check.says);
    if (!check.cure.empty()) out.text("cure", check.cure);
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

bool any(const Checks& checks, Health health) {
  return std::any_of(checks.begin(), checks.end(), [&](const Check& check) {
    return check.health == health;
  });
}

// What could not be looked at is a line, too: its words name the permission
// that is missing.
Check unless_stopped(const char* name, const std::function<Check()>& look) {
  try {
    return look();
  } catch (const Stop& stop) {
    if (stop.how() == Exit::refused) throw;
    return {name, Health::unknown, stop.what(),
            "docs/entitlectl.md, \"Stripe's key\", has what the key must read"};
  }
}

constexpr const char* kEndpointOk = "entitle_endpoint_ok";
constexpr const char* kMissing = "entitle_events_missing";

// What could not be told has no sample.
void write_metrics(const std::string& path, const Context& context,
                   const Checks& checks, std::optional<std::int64_t> missing) {
  constexpr std::string_view kind = "stripe.";
  std::string text = gauge_heading(
      kEndpointOk, "1, or 0 where Stripe's endpoint is not as it must be.");
  for (const Check& check : checks) {
    if (!check.name.starts_with(kind) || check.health == Health::unknown) {
      continue;
    }
    text += fmt::format("{}{{mode=\"{}\",check=\"{}\"}} {}\n", kEndpointOk,
                        name(context.mode()), check.name.substr(kind.size()),
                        check.health == Health::fine ? 1 : 0);
  }
  if (missing) {
    text += gauge_heading(kMissing, "Events of 30 days that never came.") +
            fmt::format("{}{{mode=\"{}\"}} {}\n", kMissing,
                        name(context.mode()), *missing);
  }
  write_textfile(path, text);
}

Checks at_stripe(const Context& context, const CheckOptions& options,
                 const std::string& url) {
  if (options.fix) {
    agree("Event types that the endpoint lacks are added to it.\n", options);
  }
  StripeApi stripe(options.stripe);
  if (stripe.key().mode() != context.mode()) {
    throw Stop(Exit::refused,
               fmt::format("the key from {} is of mode {}, and this is {}",
                           stripe.key().from(), name(stripe.key().mode()),
                           context.space()));
  }
  Checks checks = check_stripe(context, stripe, url, options.fix);
  std::optional<std::int64_t> missing;
  checks.push_back(unless_stopped(
      "stripe.prices", [&] { return check_prices(context, stripe); }));
  checks.push_back(unless_stopped("stripe.delivered", [&] {
    std::int64_t count = 0;
    Check check = check_delivered(context, stripe, count);
    missing = count;
    return check;
  }));
  if (options.ping && !url.empty()) {
    checks.push_back(unless_stopped("stripe.ping", [&] {
      return check_stripes_ping(context, stripe, url);
    }));
  }
  if (!options.metrics.empty()) {
    write_metrics(options.metrics, context, checks, missing);
  }
  return checks;
}

}  // namespace

Answer check(const Context& context, const CheckOptions& options,
             bool as_json) {
  if (options.fix && !options.with_stripe) {
    throw Stop(Exit::usage, "--fix is about Stripe's endpoint: --stripe");
  }
  if (!options.metrics.empty() && !options.with_stripe) {
    throw Stop(Exit::usage, "--metrics is about Stripe's side: --stripe");
  }
  const std::string url =
      options.url.empty() ? webhook_url(context) : options.url;
  Checks checks = check_configuration(context);
  const auto take = [&](Checks some) {
    checks.insert(checks.end(), some.begin(), some.end());
  };
  take(check_redis(context));
  if (context.grants() != nullptr) {
    take(check_running(context, options.status));
    take(check_gates(context));
  }
  take(check_route(url));
  if (options.ping && !url.empty()) {
    checks.push_back(unless_stopped("webhook.ping",
                                    [&] { return check_ping(context, url); }));
  }
  if (options.with_stripe) take(at_stripe(context, options, url));
  Answer answer;
  answer.how = any(checks, Health::bad)       ? Exit::found
               : any(checks, Health::unknown) ? Exit::cannot_tell
                                              : Exit::fine;
  answer.text = as_json ? json_of(context, checks) : text_of(checks);
  return answer;
}

}  // namespace entitle::cli
