// What a purchase is known by: `price_...`, `prod_...`, `plink_...`,
// `lookup_key=...`, `feature=...` (entitlement lookup key), `metadata=...` (a
// name in `metadata.entitlements`); of a Connect account `acct_.../` + that.
// Events name them, `entitle_grant` says what they give.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace entitle {

class Identifier {
 public:
  // The form an operator writes in `entitle_grant`; nothing else is accepted.
  static std::optional<Identifier> parse(std::string_view text);

  // The forms events say. Null where the value is empty, over 255 bytes or
  // has control bytes or commas. `account` is empty outside Connect.
  static std::optional<Identifier> from_stripe_id(std::string_view account,
                                                  std::string_view id);
  static std::optional<Identifier> lookup_key(std::string_view account,
                                              std::string_view value);
  static std::optional<Identifier> feature(std::string_view account,
                                           std::string_view value);
  static std::optional<Identifier> metadata(std::string_view account,
                                            std::string_view value);

  const std::string& str() const { return text_; }
  auto operator<=>(const Identifier&) const = default;

 private:
  explicit Identifier(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace entitle
