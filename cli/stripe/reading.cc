#include "cli/stripe/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/base/stop.h"
#include "core/crypto/secret_file.h"

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

std::vector<std::string> keys_in(const Server& server) {
  std::vector<std::string> keys;
  for (const std::string& file : server.key_files) {
    std::string error;
    auto some =
        parse_session_keys(read_named_file(ReadConf{{}, {}, "/"}, file), error);
    if (!some) {
      throw Stop(Exit::cannot_tell, fmt::format("\"{}\": {}", file, error));
    }
    keys.insert(keys.end(), some->begin(), some->end());
  }
  return keys;
}

}  // namespace

StripeReading::StripeReading(const Context& context) {
  options_.user_from = default_user_from();
  const Server* server = server_of_webhook(context);
  if (server == nullptr) return;
  options_.user_from = server->user_from;
  const std::vector<std::string> keys = keys_in(*server);
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
