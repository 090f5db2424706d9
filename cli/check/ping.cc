// A ping through the whole route, that changes nothing: of our own, signed with
// the secret that is known, and Stripe's, signed with the one it has.
#include "cli/kept/ping.h"

#include <fmt/format.h>

#include <chrono>
#include <random>
#include <thread>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/stripe/webhook.h"
#include "core/json/tree.h"
#include "core/json/writer.h"

namespace entitle::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kArrives{10};
constexpr std::chrono::milliseconds kLook{100};
constexpr std::chrono::milliseconds kNoted{1100};

std::string ping_of(const Context& context) {
  std::random_device device;
  std::string text;
  json::Writer(text)
      .begin_object()
      .text("id", fmt::format("{}{:08x}{:08x}", kOwnPing, device(), device()))
      .text("object", "event")
      .text("type", "entitlectl.ping")
      .boolean("livemode", context.mode() == Mode::live)
      .number("created", to_unix(context.now()))
      .key("data")
      .begin_object()
      .key("object")
      .begin_object()
      .text("id", "ping")
      .text("object", "ping")
      .end_object()
      .end_object()
      .end_object();
  return text;
}

std::string word_in(const HttpAnswer& answer, const char* member) {
  json::Error error;
  const auto said = json::parse(answer.body, 16, error);
  return said ? std::string(json::string(said->root(), member)) : "";
}

std::string last_received(const Context& context) {
  const std::string key = context.keys().webhook();
  return context.redis()
      .ask(key, Command{"HGET", key, "last_received_event"})
      .text;
}

// The destination of that URL. Empty: there is none.
std::string destination(StripeApi& stripe, const std::string& url) {
  std::string path =
      "/v2/core/event_destinations?include=webhook_endpoint.url&limit=100";
  while (!path.empty()) {
    const StripeReply reply = stripe.get(path);
    const json::Node* root = reply.document.root();
    const json::Node* data = json::member(root, "data");
    for (const json::Node* one : json::Children(data)) {
      const json::Node* endpoint = json::member(one, "webhook_endpoint");
      if (json::string(endpoint, "url") == url) {
        return std::string(json::string(one, "id"));
      }
    }
    path = json::string(root, "next_page_url");
    if (!path.starts_with("/v2/")) break;
  }
  return {};
}

}  // namespace

Check check_ping(const Context& context, const std::string& url) {
  constexpr const char* kName = "webhook.ping";
  const std::string body = ping_of(context);
  const std::string secret = webhook_secrets(context, "").front();
  const UnixTime now =
      std::chrono::floor<Seconds>(std::chrono::system_clock::now());
  const HttpAnswer answer =
      post_event(url, body, signature_of(body, secret, now));
  const std::string outcome = word_in(answer, "outcome");
  const std::string refused = word_in(answer, "error");
  if (answer.status == 200 && outcome == "ignored") {
    return {kName, Health::fine,
            "an event signed with the secret that is known comes through"};
  }
  if (refused == "signature_mismatch") {
    return {kName, Health::bad,
            "an event that was signed rightly is answered 400 "
            "signature_mismatch",
            "something before nginx rewrites the body: a CDN, a firewall, a "
            "proxy that parses JSON; have it leave that path alone. Or the "
            "secret's file was edited since nginx read it: nginx -s reload"};
  }
  if (refused == "timestamp_out_of_tolerance") {
    return {kName, Health::bad,
            "an event signed now is answered 400 timestamp_out_of_tolerance: "
            "the clocks of this machine and of nginx's are minutes apart",
            "set both, and keep them by NTP"};
  }
  return {kName, Health::bad,
          answer.status == 0
              ? "a signed event gets no answer: " + answer.error
              : fmt::format("a signed event is answered {}{}{}", answer.status,
                            outcome.empty() && refused.empty() ? "" : " ",
                            printable(outcome.empty() ? refused : outcome)),
          "nginx's error.log says why, if it came that far"};
}

Check check_stripes_ping(const Context& context, StripeApi& stripe,
                         const std::string& url) {
  constexpr const char* kName = "stripe.ping";
  const std::string id = destination(stripe, url);
  if (id.empty()) {
    return {kName, Health::unknown,
            "Stripe lists no event destination of that URL to ping",
            "see the line stripe.endpoint"};
  }
  // What comes is noted at most once a second, and our own ping came just now.
  std::this_thread::sleep_for(kNoted);
  const StripeReply reply = stripe.post(
      "/v2/core/event_destinations/" + url_encoded(id) + "/ping", {});
  const std::string event(json::string(reply.document.root(), "id"));
  const auto begin = steady_clock::now();
  // Another event of Stripe's may come in between: that says the same.
  const std::string before = last_received(context);
  while (steady_clock::now() - begin < kArrives) {
    const std::string last = last_received(context);
    if (last == event || (last != before && !last.starts_with(kOwnPing))) {
      return {kName, Health::fine,
              "Stripe's ping came, and its signature holds"};
    }
    std::this_thread::sleep_for(kLook);
  }
  return {kName, Health::bad,
          fmt::format("Stripe's ping {} did not come within {}, or its "
                      "signature does not hold",
                      printable(event), text_of_span(kArrives)),
          "put the signing secret of that endpoint into "
          "entitle_webhook_secret_file and reload; nginx's error.log has "
          "\"webhook refused\" if it came"};
}

}  // namespace entitle::cli
