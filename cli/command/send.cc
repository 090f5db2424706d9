// entitlectl send: a test event through the whole route.
#include <fmt/format.h>

#include <algorithm>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/command/stripe.h"
#include "cli/stripe/sample.h"
#include "cli/stripe/webhook.h"
#include "core/json/tree.h"

namespace entitle::cli {
namespace {

void check_type(const std::string& type) {
  const auto& known = sample_types();
  if (std::find(known.begin(), known.end(), type) != known.end()) return;
  std::vector<std::string> names(known.begin(), known.end());
  throw Stop(Exit::usage, fmt::format("\"{}\" is none of the types that can "
                                      "be made: {}",
                                      printable(type), listed(names)));
}

// What is bought: as it was said; else the first that a grant names and an
// event of this type can carry.
Identifier identifier_of(const Context& context, const SendOptions& options) {
  if (!options.identifier.empty()) {
    auto identifier = Identifier::parse(options.identifier);
    if (!identifier) {
      throw Stop(Exit::usage,
                 fmt::format("\"{}\" is no identifier as entitle_grant has "
                             "them: price_..., lookup_key=...",
                             printable(options.identifier)));
    }
    return *std::move(identifier);
  }
  using Type = Identifier::Type;
  const bool session = options.type == "checkout.session.completed";
  if (context.grants() != nullptr) {
    for (Identifier& one : context.grants()->identifiers()) {
      const Identifier::Parts parts = one.parts();
      if (!parts.account.empty() || parts.type == Type::feature) continue;
      const bool by_metadata =
          parts.type == Type::metadata || parts.type == Type::tag;
      const bool by_link = parts.type == Type::payment_link;
      if (by_metadata || session == by_link) return std::move(one);
    }
  }
  return *Identifier::parse(session ? "plink_sample" : "price_sample");
}

std::string word_in(const json::Node* root, const char* member) {
  return printable(json::string(root, member));
}

std::vector<std::string> names_in(const json::Node* root, const char* member) {
  std::vector<std::string> names;
  const json::Node* list = json::member(root, member);
  for (const json::Node* name : json::Children(list)) {
    names.push_back(printable(name->text()));
  }
  return names;
}

struct Sent {
  std::string url;
  std::string identifier;
  HttpAnswer answer;
  std::string outcome;  // or the error
  std::vector<std::string> unlocks;
};

std::string text_of(const SendOptions& options, const Sent& sent) {
  std::string text = fmt::format(
      "{} of {}{} to {}: {} {}\n", options.type, printable(sent.identifier),
      options.user.empty() ? "" : " for \"" + printable(options.user) + '"',
      sent.url, sent.answer.status, sent.outcome);
  if (!sent.unlocks.empty()) {
    text += "    it unlocks " + listed(sent.unlocks) + '\n';
  }
  return text;
}

std::string json_of(const Context& context, const SendOptions& options,
                    const Sent& sent) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.text("type", options.type)
      .text("url", sent.url)
      .text("identifier", printable(sent.identifier))
      .number("status", sent.answer.status)
      .text("outcome", sent.outcome)
      .key("unlocks")
      .strings(sent.unlocks);
  out.end_object();
  return text;
}

}  // namespace

Answer send(const Context& context, const SendOptions& options, bool as_json) {
  if (context.mode() == Mode::live) {
    throw Stop(Exit::refused,
               fmt::format("{} is live, and what nobody bought must not open "
                           "anything there: --mode test",
                           context.space()));
  }
  check_type(options.type);
  if (!options.user.empty() && !User::from(options.user)) {
    throw Stop(Exit::usage, "--user takes 1 to 255 bytes, no control bytes");
  }
  Sent sent;
  sent.url = options.url.empty() ? webhook_url(context) : options.url;
  if (sent.url.empty()) {
    throw Stop(Exit::usage,
               "the webhook's URL cannot be told from the configuration: "
               "--url https://example.com/stripe");
  }
  const Identifier identifier = identifier_of(context, options);
  sent.identifier = identifier.str();
  const std::string body =
      sample_event({options.type, options.user, identifier, context.now()});
  const std::string secret =
      webhook_secrets(context, options.secret_file).front();
  sent.answer =
      post_event(sent.url, body, signature_of(body, secret, context.now()));
  if (sent.answer.status == 0) {
    throw Stop(Exit::cannot_tell, fmt::format("{} does not answer: {}",
                                              sent.url, sent.answer.error));
  }
  json::Error error;
  const auto said = json::parse(sent.answer.body, 16, error);
  const json::Node* root = said ? said->root() : nullptr;
  sent.outcome = word_in(root, "outcome");
  if (sent.outcome.empty()) sent.outcome = word_in(root, "error");
  sent.unlocks = names_in(root, "unlocks");
  Answer answer;
  answer.how = sent.answer.status == 200 ? Exit::fine : Exit::found;
  answer.text =
      as_json ? json_of(context, options, sent) : text_of(options, sent);
  return answer;
}

}  // namespace entitle::cli
