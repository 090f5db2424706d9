// entitlectl check: whether what a purchase goes through is set up.
#include "cli/check/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "cli/base/stop.h"
#include "cli/base/text.h"
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

}  // namespace

Answer check(const Context& context, const CheckOptions& options,
             bool as_json) {
  if (options.fix && !options.with_stripe) {
    throw Stop(Exit::usage, "--fix is about Stripe's endpoint: --stripe");
  }
  const std::string url =
      options.url.empty() ? webhook_url(context) : options.url;
  Checks checks = check_configuration(context);
  const auto take = [&](Checks some) {
    checks.insert(checks.end(), some.begin(), some.end());
  };
  take(check_redis(context));
  take(check_route(url));
  if (options.with_stripe) {
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
    take(check_stripe(context, stripe, url, options.fix));
  }
  Answer answer;
  answer.how = any(checks, Health::bad)       ? Exit::found
               : any(checks, Health::unknown) ? Exit::cannot_tell
                                              : Exit::fine;
  answer.text = as_json ? json_of(context, checks) : text_of(checks);
  return answer;
}

}  // namespace entitle::cli
