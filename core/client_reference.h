// `$entitle_client_reference_id`: the user, signed, in Stripe's alphabet for
// client_reference_id (A-Z a-z 0-9 - _, at most 200), so that nobody can buy
// in another's name and a webhook needs no lookup.
// Source: https://docs.stripe.com/payment-links/url-parameters
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hmac.h"
#include "core/types.h"

namespace entitle {

class ClientReference {
 public:
  // The raw keys of entitle_session_key_file: first signs, all verify.
  explicit ClientReference(std::span<const std::string> raw_keys);  // >= 1

  // Empty when impossible: the user is too long for 200 characters.
  std::string make(const User& user) const;
  // The user of a reference made by any of our keys.
  std::optional<User> open(std::string_view reference) const;
  // Whether it has our form at all (so a bad MAC is a forgery, not a plain id).
  static bool has_our_form(std::string_view reference);

 private:
  std::vector<HmacSha256> keys_;
};

}  // namespace entitle
