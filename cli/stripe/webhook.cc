#include "cli/stripe/webhook.h"

#include <fmt/format.h>

#include <string_view>

#include "cli/base/stop.h"
#include "core/crypto/hmac.h"
#include "core/crypto/secret_file.h"

namespace entitle::cli {
namespace {

const Location* webhook_in(const Location& location, Mode mode) {
  if (location.webhook == mode) return &location;
  for (const Location& inner : location.locations) {
    if (const Location* found = webhook_in(inner, mode)) return found;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> webhook_secrets(const Context& context,
                                         const std::string& file) {
  std::vector<std::string> files;
  if (!file.empty()) files.push_back(file);
  for (const Server* server : context.servers()) {
    if (!files.empty()) break;
    if (auto* found = webhook_in(server->root, context.mode())) {
      files = found->secret_files;
    }
  }
  std::vector<std::string> secrets;
  for (const std::string& name : files) {
    std::string error;
    auto some = parse_webhook_secrets(
        read_named_file(ReadConf{{}, {}, "."}, name), error);
    if (!some) {
      throw Stop(Exit::cannot_tell, fmt::format("\"{}\": {}", name, error));
    }
    secrets.insert(secrets.end(), some->begin(), some->end());
  }
  if (secrets.empty()) {
    throw Stop(Exit::usage,
               fmt::format("no webhook of mode {} is configured, so nobody "
                           "knows its secret: --secret-file FILE",
                           name(context.mode())));
  }
  return secrets;
}

std::string signature_of(const std::string& body, const std::string& secret,
                         UnixTime now) {
  const std::string time = std::to_string(to_unix(now));
  const Mac mac = HmacSha256(secret)({time, ".", body});
  std::string text = "t=" + time + ",v1=";
  for (std::uint8_t byte : mac) text += fmt::format("{:02x}", byte);
  return text;
}

HttpAnswer get_url(const std::string& url) { return ask({url}); }

HttpAnswer post_event(const std::string& url, const std::string& body,
                      const std::string& signature) {
  HttpRequest request{
      url, body, {"Content-Type: application/json; charset=utf-8", "Expect:"}};
  if (!signature.empty()) {
    request.headers.push_back("Stripe-Signature: " + signature);
  }
  return ask(request);
}

}  // namespace entitle::cli
