// The key to Stripe's API: from a file, a credential of systemd's or the
// environment, never from a command line, where everybody sees it.
#pragma once

#include <string>

#include "core/base/types.h"

namespace entitle::cli {

class StripeKey {
 public:
  // `file` if it is named; else the credential `stripe_key` of the service
  // that this runs as; else STRIPE_API_KEY. Throws Stop: there is none, others
  // can read the file, or it is no secret or restricted key.
  static StripeKey find(const std::string& file);

  Mode mode() const { return mode_; }
  // It may do anything to the account, where reading would do.
  bool unrestricted() const { return unrestricted_; }
  const std::string& from() const { return from_; }  // for people
  // For the request's header alone.
  const std::string& secret() const { return secret_; }

 private:
  StripeKey(std::string text, std::string from);

  std::string secret_;
  std::string from_;
  Mode mode_ = Mode::test;
  bool unrestricted_ = false;
};

}  // namespace entitle::cli
