#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/stripe/list.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

constexpr std::chrono::seconds kSkew{60};

// What docs/stripe.md has people select; without these somebody who paid is
// out, or somebody who was paid back is in.
constexpr std::string_view kWanted[] = {
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refunded",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.paid",
    "refund.failed",
    "refund.updated",
};

Check clock(const StripeApi& stripe) {
  const auto now =
      std::chrono::floor<Seconds>(std::chrono::system_clock::now());
  const auto off = now - stripe.last_date();
  if (off < kSkew && off > -kSkew) {
    return {"clock", Health::fine, "as Stripe's"};
  }
  return {"clock", Health::bad,
          fmt::format("this machine's is {} {} Stripe's",
                      text_of_span(off < Seconds{0} ? -off : off),
                      off < Seconds{0} ? "behind" : "before"),
          "set it, and keep it by NTP: signatures are worth five minutes"};
}

bool sends_all(const json::Node* endpoint) {
  const json::Node* events = json::member(endpoint, "enabled_events");
  for (const json::Node* event : json::Children(events)) {
    if (event->text() == "*") return true;
  }
  return false;
}

std::vector<std::string> selected(const json::Node* endpoint) {
  std::vector<std::string> types;
  const json::Node* events = json::member(endpoint, "enabled_events");
  for (const json::Node* event : json::Children(events)) {
    types.emplace_back(event->text());
  }
  return types;
}

// Adds, and never takes away.
void add_types(StripeApi& stripe, const json::Node* endpoint,
               const std::vector<std::string>& missing) {
  std::vector<std::pair<std::string, std::string>> form;
  for (const std::string& type : selected(endpoint)) {
    form.emplace_back("enabled_events[]", type);
  }
  for (const std::string& type : missing) {
    form.emplace_back("enabled_events[]", type);
  }
  stripe.post(
      "/v1/webhook_endpoints/" + std::string(stripe::id(endpoint, "id")), form);
}

Check events(StripeApi& stripe, const json::Node* endpoint, bool fix) {
  const std::vector<std::string> missing = missing_types(endpoint);
  if (missing.empty()) {
    return {"stripe.events", Health::fine, "all that decides is selected"};
  }
  if (fix) {
    add_types(stripe, endpoint, missing);
    return {"stripe.events", Health::fine, "added: " + listed(missing)};
  }
  return {"stripe.events", Health::bad, "not selected: " + listed(missing),
          "--fix adds them, with a key that may write webhooks "
          "(rak_webhook_write); what you do not sell needs none of its own"};
}

// Events come in the endpoint's version, and both of Stripe's shapes are read;
// one that is newer than what this was tested with may have renamed a field.
Check version(const json::Node* endpoint) {
  const std::string version = printable(json::string(endpoint, "api_version"));
  if (version.empty()) {
    return {"stripe.version", Health::fine, "the account's API version"};
  }
  const std::string_view tested = StripeApi::kVersion;
  if (version.substr(0, 10) <= tested.substr(0, 10)) {
    return {"stripe.version", Health::fine, version};
  }
  return {"stripe.version", Health::unknown,
          fmt::format("{} is newer than {}, which this version of entitle "
                      "was tested with",
                      version, tested),
          "look for \"is not known\" and \"is assumed\" in nginx's error.log; "
          "a newer entitle may know it"};
}

Checks look_at(StripeApi& stripe, const json::Node* endpoint, bool live,
               bool fix) {
  Checks checks;
  const std::string id(stripe::id(endpoint, "id"));
  const bool enabled = json::string(endpoint, "status") == "enabled";
  checks.push_back(
      enabled ? Check{"stripe.enabled", Health::fine, id + " is enabled"}
              : Check{"stripe.enabled", Health::bad,
                      id + " is " + printable(json::string(endpoint, "status")),
                      "enable it in Stripe's dashboard, then: entitlectl "
                      "replay --missing"});
  if (json::boolean(endpoint, "livemode") != live) {
    checks.push_back({"stripe.mode", Health::bad, id + " is of the other mode",
                      "use the key and the endpoint of this mode"});
  }
  checks.push_back(version(endpoint));
  checks.push_back({"stripe.payload", Health::fine, "snapshot"});
  checks.push_back(events(stripe, endpoint, fix));
  return checks;
}

// Thin destinations are in the other list alone. They say nothing of what was
// bought.
bool is_thin_there(StripeApi& stripe, const std::string& url) {
  const StripeReply reply = stripe.get(
      "/v2/core/event_destinations?include=webhook_endpoint.url&limit=100");
  const json::Node* data = json::member(reply.document.root(), "data");
  for (const json::Node* one : json::Children(data)) {
    const json::Node* endpoint = json::member(one, "webhook_endpoint");
    if (json::string(endpoint, "url") == url &&
        json::string(one, "event_payload") == "thin") {
      return true;
    }
  }
  return false;
}

Check thin() {
  return {"stripe.payload", Health::bad,
          "the only endpoint of that URL has the payload style thin, which "
          "says nothing of what was bought",
          "add an endpoint of the payload style snapshot in Stripe's "
          "dashboard (Developers, Webhooks), and its secret to "
          "entitle_webhook_secret_file"};
}

Check none(const std::string& url, const std::vector<std::string>& others) {
  return {"stripe.endpoint", Health::bad,
          fmt::format("no endpoint of Stripe's has the URL {}{}", url,
                      others.empty() ? ", and there is none at all"
                                     : "; there is " + listed(others)),
          "add it in Stripe's dashboard (Developers, Webhooks), and its secret "
          "to entitle_webhook_secret_file; entitlectl setup does"};
}

}  // namespace

std::span<const std::string_view> wanted_types() { return kWanted; }

std::vector<std::string> missing_types(const json::Node* endpoint) {
  if (sends_all(endpoint)) return {};
  const std::vector<std::string> all = selected(endpoint);
  std::vector<std::string> missing;
  for (std::string_view type : kWanted) {
    if (std::find(all.begin(), all.end(), type) == all.end()) {
      missing.emplace_back(type);
    }
  }
  return missing;
}

Checks check_stripe(const Context& context, StripeApi& stripe,
                    const std::string& url, bool fix) {
  Checks checks;
  std::vector<StripeList::Page> pages;
  StripeList list(stripe, "/v1/webhook_endpoints", "");
  while (auto page = list.next()) pages.push_back(*std::move(page));
  checks.push_back(clock(stripe));
  if (url.empty()) {
    checks.push_back({"stripe.endpoint", Health::unknown,
                      "the webhook's URL cannot be told from the configuration",
                      "say it: --url https://example.com/stripe"});
    return checks;
  }
  std::vector<const json::Node*> ours;
  std::vector<std::string> others;
  for (const StripeList::Page& page : pages) {
    for (const json::Node* endpoint : page.members) {
      const std::string_view at = json::string(endpoint, "url");
      if (at == url) {
        ours.push_back(endpoint);
      } else {
        others.push_back(printable(at));
      }
    }
  }
  if (ours.empty()) {
    checks.push_back(none(url, others));
    try {
      if (is_thin_there(stripe, url)) checks.push_back(thin());
    } catch (const Stop&) {
      // That there is none is bad enough.
    }
    return checks;
  }
  if (ours.size() > 1) {
    checks.push_back(
        {"stripe.endpoint", Health::bad,
         fmt::format("{} endpoints have the URL {}: each event comes as often, "
                     "signed with a secret of each",
                     ours.size(), url),
         "delete all but one in Stripe's dashboard"});
  } else {
    checks.push_back({"stripe.endpoint", Health::fine, url});
  }
  for (const json::Node* endpoint : ours) {
    for (Check& check :
         look_at(stripe, endpoint, context.mode() == Mode::live, fix)) {
      checks.push_back(std::move(check));
    }
  }
  return checks;
}

}  // namespace entitle::cli
