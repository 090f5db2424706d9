// Stripe's API, asked as it wants to be: one connection, at most ten requests a
// second, a pinned version, and what passes is waited for and asked again.
// Source: https://docs.stripe.com/rate-limits,
// https://docs.stripe.com/api/errors
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/stripe/key.h"
#include "core/base/types.h"
#include "core/json/tree.h"

namespace entitle::cli {

struct StripeSettings {
  std::string url = "https://api.stripe.com";
  std::string key_file;  // empty: see StripeKey::find
  int rate = 10;         // requests a second
};

struct StripeReply {
  json::Document document;
  UnixTime date{};   // when Stripe said it, by its own clock
  std::string body;  // as it came
};

class StripeApi {
 public:
  static constexpr std::string_view kVersion = "2026-07-29.dahlia";

  // Throws Stop: no key, or a URL that would show it.
  explicit StripeApi(const StripeSettings& settings);
  ~StripeApi();
  StripeApi(const StripeApi&) = delete;
  StripeApi& operator=(const StripeApi&) = delete;

  // "/v1/subscriptions?limit=100". Throws Stop: Stripe refuses (its words, and
  // the permission that is missing), or does not answer in the end.
  StripeReply get(const std::string& path);
  // Null: there is no such object.
  std::optional<StripeReply> find(const std::string& path);
  // The same, of Stripe's errors' codes, where it is this parameter's.
  std::optional<StripeReply> find(const std::string& path,
                                  std::string_view parameter);
  StripeReply post(
      const std::string& path,
      const std::vector<std::pair<std::string, std::string>>& form);

  const StripeKey& key() const { return key_; }
  int calls() const { return calls_; }  // attempts count
  // When Stripe answered last, by its own clock.
  UnixTime last_date() const { return last_date_; }

 private:
  struct Curl;
  struct Answer;

  StripeReply ask(const std::string& path, const std::string* form,
                  std::string_view may_be_missing, bool& missing);
  Answer attempt(const std::string& path, const std::string* form);
  void keep_rate();

  StripeSettings settings_;
  StripeKey key_;
  std::unique_ptr<Curl> curl_;
  std::chrono::steady_clock::time_point next_{};
  int calls_ = 0;
  UnixTime last_date_{};
};

// A word in a query or form.
std::string url_encoded(std::string_view text);

}  // namespace entitle::cli
