#include "cli/stripe/api.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <thread>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/ascii.h"
#include "core/base/decimal.h"
#include "core/base/version.h"
#include "core/stripe/refusal.h"

namespace entitle::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
constexpr int kMostAttempts = 8;
constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{30'000};
// As far as entitle_webhook_tolerance lets a signature's by default.
constexpr Seconds kClocksApart{300};
constexpr long kConnectTime = 10'000;  // ms
constexpr long kAnswerTime = 60'000;

// Nobody but this machine hears what goes to these.
bool is_local(std::string_view url) {
  for (std::string_view host :
       {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    if (!url.starts_with(host)) continue;
    const std::string_view rest = url.substr(host.size());
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

StripeSettings checked(StripeSettings settings) {
  while (settings.url.ends_with('/')) settings.url.pop_back();
  if (!settings.url.starts_with("https://") && !is_local(settings.url)) {
    throw Stop(Exit::usage,
               fmt::format("--stripe-api \"{}\" must be an https:// URL, or "
                           "http:// of this machine: the key goes there",
                           settings.url));
  }
  return settings;
}

milliseconds jittered(milliseconds most) {
  static std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(
      most.count() / 2, most.count())(random));
}

std::string text_of_error(const json::Node* error, const char* member) {
  return std::string(json::string(error, member));
}

}  // namespace

struct StripeApi::Curl {
  CURL* handle = curl_easy_init();
  curl_slist* headers = nullptr;
  Curl() = default;
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;
  ~Curl() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
};

struct StripeApi::Answer {
  unsigned status = 0;  // 0: there is none
  std::string body;
  std::string date, retry_after, should_retry;
  std::string why;  // of none
};

namespace {

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size > kMaxBytes) return 0;
  body.append(bytes, size);
  return size;
}

// "name: value\r\n", each of those that matter into its place.
struct HeaderNames {
  std::string *date, *retry_after, *should_retry;
};
std::size_t take_header(char* bytes, std::size_t, std::size_t size,
                        void* into) {
  const auto& names = *static_cast<HeaderNames*>(into);
  const std::string_view line(bytes, size);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  const std::string name = lower_case(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  const std::size_t begin = value.find_first_not_of(" \t");
  value.remove_prefix(std::min(begin, value.size()));
  value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
  if (name == "date") *names.date = value;
  if (name == "retry-after") *names.retry_after = value;
  if (name == "stripe-should-retry") *names.should_retry = value;
  return size;
}

// Busy, two requests at once about one object, or a fault of Stripe's.
bool passes(unsigned status) {
  return status == 0 || status == 408 || status == 409 || status == 424 ||
         status == 425 || status == 429 || status >= 500;
}

// What Stripe says is dated by its clock, and counts for less than a later
// event: of a wrong date it would count for more than what comes.
void check_date(UnixTime date) {
  const UnixTime now =
      std::chrono::floor<Seconds>(std::chrono::system_clock::now());
  const Seconds apart = date > now ? date - now : now - date;
  if (apart <= kClocksApart) return;
  throw Stop(Exit::cannot_tell,
             fmt::format("what answers for Stripe says that it is {}, and here "
                         "it is {}: set the clock that is wrong; nothing can "
                         "be dated by them",
                         text_of_time(date), text_of_time(now)));
}

[[noreturn]] void refuse(unsigned status, const json::Node* error,
                         const std::string& path) {
  const std::string message = text_of_error(error, "message");
  std::string why;
  const std::vector<std::string> lacking = lacking_permissions(message);
  if (status == 401) {
    why = "Stripe does not know the key";
  } else if (status == 403 && !lacking.empty()) {
    why = fmt::format("the key lacks the permission{} {}",
                      lacking.size() > 1 ? "s" : "", listed(lacking));
  } else {
    why = fmt::format(
        "Stripe refuses with status {}: {}", status,
        message.empty() ? "it says nothing of use" : quoted_words(message));
  }
  throw Stop(Exit::cannot_tell, fmt::format("{}, asked for {}", why, path));
}

}  // namespace

StripeApi::StripeApi(const StripeSettings& settings)
    : settings_(checked(settings)),
      key_(StripeKey::find(settings.key_file)),
      curl_(std::make_unique<Curl>()) {
  if (curl_->handle == nullptr) {
    throw Stop(Exit::cannot_tell, "libcurl does not start");
  }
  const std::string headers[] = {"Authorization: Bearer " + key_.secret(),
                                 "Stripe-Version: " + std::string(kVersion),
                                 "Expect:"};
  for (const std::string& header : headers) {
    curl_->headers = curl_slist_append(curl_->headers, header.c_str());
  }
  CURL* handle = curl_->handle;
  const std::string agent = std::string("entitlectl/") + entitle::kVersion;
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, curl_->headers);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, agent.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR,
                   is_local(settings_.url) ? "http" : "https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTime);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, kAnswerTime);
  curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
  if (is_local(settings_.url)) curl_easy_setopt(handle, CURLOPT_PROXY, "");
}

StripeApi::~StripeApi() = default;

void StripeApi::keep_rate() {
  using Clock = std::chrono::steady_clock;
  std::this_thread::sleep_until(next_);
  next_ = std::max(next_, Clock::now()) +
          std::chrono::microseconds(1'000'000 / settings_.rate);
}

StripeApi::Answer StripeApi::attempt(const std::string& path,
                                     const std::string* form) {
  keep_rate();
  ++calls_;
  Answer answer;
  HeaderNames names{&answer.date, &answer.retry_after, &answer.should_retry};
  CURL* handle = curl_->handle;
  const std::string url = settings_.url + path;
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &names);
  if (form == nullptr) {
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE,
                     static_cast<long>(form->size()));
    curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, form->c_str());
  }
  const CURLcode result = curl_easy_perform(handle);
  if (result != CURLE_OK) {
    answer.why = curl_easy_strerror(result);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<unsigned>(status);
  return answer;
}

StripeReply StripeApi::ask(const std::string& path, const std::string* form,
                           std::string_view may_be_missing, bool& missing) {
  missing = false;
  milliseconds pause = kFirstPause;
  std::string why;
  for (int n = 1;; ++n) {
    Answer answer = attempt(path, form);
    json::Error error;
    std::optional<json::Document> document =
        json::parse(answer.body, kMaxDepth, error);
    const json::Node* said =
        document ? json::member(document->root(), "error") : nullptr;
    if (document) {
      const std::time_t date = curl_getdate(answer.date.c_str(), nullptr);
      if (date <= 0) {
        throw Stop(Exit::cannot_tell,
                   "what answers for Stripe does not say the date: " + path);
      }
      last_date_ = unix_time(date);
      check_date(last_date_);
    }
    if (answer.status == 200 && document) {
      return {*std::move(document), last_date_, std::move(answer.body)};
    }
    const bool no_such = json::string(said, "code") == "resource_missing" &&
                         (may_be_missing == "*" ||
                          json::string(said, "param") == may_be_missing);
    if (!may_be_missing.empty() && no_such) {
      missing = true;
      return {};
    }
    // A 200 that is no JSON broke off, or is not Stripe's.
    bool again = passes(answer.status) || answer.status == 200 ||
                 json::string(said, "code") == "rate_limit";
    if (answer.should_retry == "true") again = true;
    if (answer.should_retry == "false") again = false;
    if (!again && answer.status >= 400 && said != nullptr) {
      refuse(answer.status, said, path);
    }
    why = answer.status == 0 ? answer.why
                             : fmt::format("status {}{}", answer.status,
                                           document ? "" : " and no JSON");
    if (!again || n == kMostAttempts) break;
    milliseconds wait = jittered(pause);
    if (auto told = parse_decimal<std::int64_t>(answer.retry_after, 3600)) {
      wait = std::min<milliseconds>(std::chrono::seconds(*told),
                                    2 * kLongestPause);
    }
    std::this_thread::sleep_for(wait);
    pause = std::min(2 * pause, kLongestPause);
  }
  throw Stop(Exit::cannot_tell,
             fmt::format("Stripe at {} does not answer ({}), asked for {}",
                         settings_.url, why, path));
}

StripeReply StripeApi::get(const std::string& path) {
  bool missing = false;
  return ask(path, nullptr, "", missing);
}

std::optional<StripeReply> StripeApi::find(const std::string& path) {
  return find(path, "*");
}

std::optional<StripeReply> StripeApi::find(const std::string& path,
                                           std::string_view parameter) {
  bool missing = false;
  StripeReply reply = ask(path, nullptr, parameter, missing);
  if (missing) return std::nullopt;
  return reply;
}

StripeReply StripeApi::post(
    const std::string& path,
    const std::vector<std::pair<std::string, std::string>>& form) {
  std::string text;
  for (const auto& [name, value] : form) {
    if (!text.empty()) text += '&';
    text += url_encoded(name) + '=' + url_encoded(value);
  }
  bool missing = false;
  return ask(path, &text, "", missing);
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_alphanumeric(c) || c == '_' || c == '-' || c == '.') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace entitle::cli
