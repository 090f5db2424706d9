#include <fmt/format.h>

#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/stripe/webhook.h"
#include "core/json/tree.h"

namespace entitle::cli {
namespace {

// The greatest event that Stripe sends is far smaller.
constexpr std::size_t kLargeBody = std::size_t{512} << 10;

std::string error_in(const std::string& body) {
  json::Error error;
  const auto said = json::parse(body, 16, error);
  return said ? std::string(json::string(said->root(), "error")) : "";
}

Check answer_to_get(const std::string& url) {
  const HttpAnswer answer = get_url(url);
  if (answer.status == 405) {
    return {"webhook.route", Health::fine, url + " takes POST alone"};
  }
  if (answer.status == 0) {
    return {"webhook.route", Health::bad,
            fmt::format("{} does not answer: {}", url, answer.error),
            "look at its name in DNS, its certificate and the firewall"};
  }
  if (!answer.location.empty()) {
    return {"webhook.route", Health::bad,
            fmt::format("{} redirects to {}, and Stripe follows nothing", url,
                        printable(answer.location)),
            "give Stripe the URL where it ends, or take that location out of "
            "the redirect"};
  }
  return {"webhook.route", Health::bad,
          fmt::format("{} answers {} to GET, where a webhook answers 405", url,
                      answer.status),
          "see which location serves it: another one may come first"};
}

Check answer_to_post(const std::string& url) {
  const std::string body(kLargeBody, ' ');
  const HttpAnswer answer = post_event(url, body, "");
  if (answer.status == 400 && error_in(answer.body).starts_with("signature_")) {
    return {"webhook.body", Health::fine,
            "a body of 512 KiB comes through, and is refused unsigned"};
  }
  if (answer.status == 413) {
    return {"webhook.body", Health::bad, "a body of 512 KiB is answered 413",
            "raise client_max_body_size in that location to 1m, and in each "
            "proxy before it"};
  }
  return {"webhook.body", Health::bad,
          answer.status == 0
              ? "an unsigned event gets no answer: " + answer.error
              : fmt::format("an unsigned event is answered {}, not 400 by "
                            "entitle",
                            answer.status),
          "something before nginx, or another location, answers there"};
}

}  // namespace

Checks check_route(const std::string& url) {
  if (url.empty()) {
    return {{"webhook.route", Health::unknown,
             "the webhook's URL cannot be told from the configuration",
             "say it: --url https://example.com/stripe"}};
  }
  Checks checks{answer_to_get(url)};
  if (checks.front().health == Health::fine) {
    checks.push_back(answer_to_post(url));
  }
  return checks;
}

}  // namespace entitle::cli
