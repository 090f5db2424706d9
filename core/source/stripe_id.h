// The ids of Stripe's objects, and whose they are: `cus_2` is of the account
// the endpoint is of, `acct_1/cus_2` of a Connect account. In this form they
// name places and sources in Redis (docs/redis.md).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace entitle {

// A Connect account, or (as made by default) the account the endpoint is of,
// whose ids stand alone.
class AccountId {
 public:
  AccountId() = default;

  // `acct_` and one or more of A-Z a-z 0-9 `_`, at most 255 bytes: what Stripe
  // makes ids of (its own are letters and digits; newer test objects have a
  // `_` inside). No `/`, so where an account ends is never in doubt.
  static std::optional<AccountId> parse(std::string_view text);

  bool is_own() const { return text_.empty(); }
  const std::string& str() const { return text_; }  // empty: our own
  // `id` as one of this account's: "acct_1/cus_2", or "cus_2".
  std::string qualify(std::string_view id) const;

  auto operator<=>(const AccountId&) const = default;

 private:
  explicit AccountId(std::string_view text) : text_(text) {}
  std::string text_;
};

// Whether Stripe could have given an object this id: 1-255 bytes of printable
// ASCII without space, quote, backslash and slash. Old accounts chose their
// customers' ids, so there is no rule about prefixes.
bool is_object_id(std::string_view text);

// An id taken apart. Views of the text it was made from, which may be anything:
// what stands in Redis was written by others, too.
class StripeId {
 public:
  // In the order of what belongs to what: a charge to a payment intent, that to
  // an invoice, that to a checkout session, that to a customer, who may have a
  // second name: an account (`customer_account`). What is nothing else is a
  // customer.
  enum class Kind {
    charge,
    payment_intent,
    invoice,
    checkout_session,
    customer_account,
    customer,
  };

  explicit StripeId(std::string_view text);

  std::string_view account() const { return account_; }  // or empty
  std::string_view id() const { return id_; }
  Kind kind() const;

 private:
  std::string_view account_, id_;
};

}  // namespace entitle
