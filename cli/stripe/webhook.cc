#include "cli/stripe/webhook.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>
#include <string_view>

#include "cli/base/stop.h"
#include "core/crypto/hmac.h"
#include "core/crypto/secret_file.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMaxAnswerBytes = 16384;
constexpr long kTime = 30'000;  // ms

const Location* webhook_in(const Location& location, Mode mode) {
  if (location.webhook == mode) return &location;
  for (const Location& inner : location.locations) {
    if (const Location* found = webhook_in(inner, mode)) return found;
  }
  return nullptr;
}

std::size_t take_beginning(char* bytes, std::size_t, std::size_t size,
                           void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() < kMaxAnswerBytes) body.append(bytes, size);
  return size;
}

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// Without a body: GET.
HttpAnswer asked(const std::string& url, const std::string* body,
                 const std::vector<std::string>& headers) {
  HttpAnswer answer;
  const std::unique_ptr<CURL, FreeCurl> owned(curl_easy_init());
  CURL* handle = owned.get();
  if (handle == nullptr) {
    throw Stop(Exit::cannot_tell, "libcurl does not start");
  }
  std::unique_ptr<curl_slist, FreeList> lines;
  for (const std::string& header : headers) {
    lines.reset(curl_slist_append(lines.release(), header.c_str()));
  }
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, lines.get());
  if (body != nullptr) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(body->size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body->c_str());
  }
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, kTime);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_beginning);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
  const CURLcode result = curl_easy_perform(handle);
  if (result != CURLE_OK) {
    answer.error = curl_easy_strerror(result);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  char* location = nullptr;
  curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
  answer.status = static_cast<unsigned>(status);
  if (location != nullptr) answer.location = location;
  return answer;
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

HttpAnswer get_url(const std::string& url) { return asked(url, nullptr, {}); }

HttpAnswer post_event(const std::string& url, const std::string& body,
                      const std::string& signature) {
  std::vector<std::string> headers{
      "Content-Type: application/json; charset=utf-8", "Expect:"};
  if (!signature.empty()) headers.push_back("Stripe-Signature: " + signature);
  return asked(url, &body, headers);
}

}  // namespace entitle::cli
