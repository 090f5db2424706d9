#include "cli/stripe/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/base/stop.h"
#include "cli/conf/keys.h"

namespace entitle::cli {
namespace {

const Server* server_of_webhook(const Context& context) {
  for (const Server* server : context.servers()) {
    const std::vector<Mode> modes = server->webhooks();
    if (std::find(modes.begin(), modes.end(), context.mode()) != modes.end()) {
      return server;
    }
  }
  return context.servers().empty() ? nullptr : context.servers().front();
}

}  // namespace

StripeReading::StripeReading(const Context& context) {
  options_.user_from = default_user_from();
  const Server* server = server_of_webhook(context);
  if (server == nullptr) return;
  options_.user_from = server->user_from;
  const std::vector<std::string> keys = session_keys_of(*server);
  if (keys.empty()) return;
  reference_.emplace(keys);
  options_.reference = &*reference_;
}

bool ask(StripeApi& stripe, StripeQuestion& question) {
  for (;;) {
    StripeReply reply = stripe.get(question.path());
    switch (question.take(std::move(reply.document))) {
      case StripeQuestion::Next::ask:
        break;
      case StripeQuestion::Next::use:
        return true;
      case StripeQuestion::Next::refuse:
        return false;
      case StripeQuestion::Next::retry:
        throw Stop(Exit::cannot_tell, question.why());
    }
  }
}

}  // namespace entitle::cli
