#include <fmt/format.h>

#include <algorithm>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/stripe/webhook.h"

namespace entitle::cli {
namespace {

struct Found {
  const Server* server = nullptr;
  const Location* location = nullptr;
};

const Location* webhook_in(const Location& location, Mode mode) {
  if (location.webhook == mode) return &location;
  for (const Location& inner : location.locations) {
    if (const Location* found = webhook_in(inner, mode)) return found;
  }
  return nullptr;
}

Found webhook_of(const Context& context) {
  for (const Server* server : context.servers()) {
    if (auto* location = webhook_in(server->root, context.mode())) {
      return {server, location};
    }
  }
  return {};
}

Check secret(const Context& context) {
  try {
    const std::size_t count = webhook_secrets(context, "").size();
    return {"webhook.secret", Health::fine,
            fmt::format("{} of the form whsec_...", count)};
  } catch (const Stop& stop) {
    return {"webhook.secret", Health::bad, stop.what(),
            "put the endpoint's signing secret, as Stripe's dashboard shows "
            "it, into that file, a line of its own, and reload nginx"};
  }
}

Check grants(const Context& context) {
  const std::size_t count = context.grants()->identifiers().size();
  if (count == 0) {
    return {"grants", Health::unknown,
            "there is no entitle_grant: only names in metadata.entitlements "
            "and features open anything",
            "add \"entitle_grant NAME IDENTIFIER;\" for what is sold"};
  }
  return {"grants", Health::fine,
          fmt::format("{} identifiers are granted something", count)};
}

}  // namespace

std::string_view name(Health health) {
  switch (health) {
    case Health::fine:
      return "fine";
    case Health::bad:
      return "BAD";
    case Health::unknown:
      return "unknown";
  }
  return "";
}

Checks check_configuration(const Context& context) {
  if (context.grants() == nullptr) {
    return {{"configuration", Health::unknown,
             "none was read: Redis alone was named",
             "name nginx's configuration: --config FILE"}};
  }
  Checks checks;
  const Found webhook = webhook_of(context);
  if (webhook.location == nullptr) {
    checks.push_back(
        {"webhook.location", Health::bad,
         fmt::format("no location takes {} events", name(context.mode())),
         fmt::format("add \"location = /stripe {{ entitle_webhook "
                     "{}; entitle_webhook_secret_file ...; }}\"",
                     name(context.mode()))});
    return checks;
  }
  checks.push_back({"webhook.location", Health::fine,
                    fmt::format("location {} ({})", webhook.location->path,
                                webhook.location->at)});
  checks.push_back(secret(context));
  checks.push_back(grants(context));
  return checks;
}

std::string webhook_url(const Context& context) {
  const Found webhook = webhook_of(context);
  if (webhook.location == nullptr || webhook.server->names.empty()) return "";
  const std::string& host = webhook.server->names.front();
  const std::string& modifier = webhook.location->modifier;
  const bool plain = !host.empty() && host != "_" &&
                     host.find_first_of("*~$") == std::string::npos &&
                     modifier.find('~') == std::string::npos && modifier != "@";
  if (!plain) return "";
  return "https://" + host + webhook.location->path;
}

}  // namespace entitle::cli
