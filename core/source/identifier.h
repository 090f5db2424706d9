// What a purchase is known by: `price_...`, `prod_...`, `plink_...`,
// `lookup_key=...`, `feature=...` (entitlement lookup key), `metadata=...` (a
// name in `metadata.entitlements`); of a Connect account `acct_.../` + that.
// Events name them, `entitle_grant` says what they give.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/source/stripe_id.h"

namespace entitle {

// Whether an entitlement can have this name: not empty, without control bytes
// and commas (which separate names in metadata and in headers).
bool is_entitlement_name(std::string_view text);

class Identifier {
 public:
  // The numbers are part of the packed form (core/access/packed_record.h).
  enum class Type : std::uint8_t {
    price,
    product,
    payment_link,
    lookup_key,
    feature,
    metadata,
    unknown = 0x7f,  // a later version's: kept, and known to no grant
  };
  // What a type's text begins with.
  static constexpr std::string_view prefix_of(Type type) {
    switch (type) {
      case Type::price:
        return "price_";
      case Type::product:
        return "prod_";
      case Type::payment_link:
        return "plink_";
      case Type::lookup_key:
        return "lookup_key=";
      case Type::feature:
        return "feature=";
      case Type::metadata:
        return "metadata=";
      case Type::unknown:
        break;
    }
    return {};
  }
  static constexpr std::size_t kTypes = 6;

  // The form an operator writes in `entitle_grant`; nothing else is accepted.
  static std::optional<Identifier> parse(std::string_view text);

  // As it stands in a record: what parse() does not accept is of a type
  // unknown. Null: it can be none (empty, over 1024 bytes, control bytes).
  static std::optional<Identifier> stored(std::string_view text);

  // The forms events say. Null where the value is no is_entitlement_name() of
  // at most 255 bytes, or the id no price's, product's or payment link's.
  static std::optional<Identifier> from_stripe_id(const AccountId& account,
                                                  std::string_view id);
  static std::optional<Identifier> lookup_key(const AccountId& account,
                                              std::string_view value);
  static std::optional<Identifier> feature(const AccountId& account,
                                           std::string_view value);
  static std::optional<Identifier> metadata(const AccountId& account,
                                            std::string_view value);

  const std::string& str() const { return text_; }

  struct Parts {
    std::string_view account;  // empty: our own, or of an unknown type
    Type type;
    std::string_view value;  // without the type's prefix
  };
  Parts parts() const;  // views of str()

  auto operator<=>(const Identifier&) const = default;

 private:
  explicit Identifier(std::string text, bool known = true)
      : text_(std::move(text)), known_(known) {}
  static std::optional<Identifier> named(const AccountId& account, Type type,
                                         std::string_view value);
  std::string text_;
  bool known_;  // parse() accepts it
};

}  // namespace entitle
