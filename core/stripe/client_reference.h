// `$entitle_client_reference_id`: the user, signed, in Stripe's alphabet for
// client_reference_id (A-Z a-z 0-9 - _, at most 200), so that nobody can buy
// in another's name and a webhook needs no lookup.
// Source: https://docs.stripe.com/payment-links/url-parameters
//
//   ent1-<mac>-<user>              a user in that alphabet stays readable in
//                                  Stripe's dashboard; at most 172 bytes
//   ent1b-<mac>-<base64url(user)>  any other user; at most 128 bytes
//
// <mac> is 16 bytes of HMAC over the rest, base64url, 22 characters.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/crypto/hmac.h"

namespace entitle {

class ClientReference {
 public:
  // The raw keys of entitle_session_key_file: first signs, all verify.
  explicit ClientReference(std::span<const std::string> raw_keys);  // >= 1

  // Empty when impossible: the user is too long for 200 characters.
  std::string make(const User& user) const;
  // The user of a reference made by any of our keys.
  std::optional<User> open(std::string_view reference) const;
  // Whether it begins like ours (so one that does not open is a forgery or
  // damaged, never a plain id).
  static bool has_our_form(std::string_view reference);

 private:
  std::vector<HmacSha256> keys_;
};

}  // namespace entitle
