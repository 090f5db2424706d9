// What a purchase is known by: `price_...`, `plan_...`, `prod_...`,
// `plink_...`, `price=...` (the id of a price or plan that its shop chose, as
// old accounts could), `lookup_key=...`, `feature=...` (entitlement lookup
// key), `metadata=...` (a name in `metadata.entitlements`),
// `metadata.KEY=VALUE` (any other member of the metadata of what was bought: a
// tag); of a Connect account `acct_.../` + that. Events name them,
// `entitle_grant` says what they give.
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
    plan,
    named_price,
    tag,
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
      case Type::plan:
        return "plan_";
      case Type::named_price:
        return "price=";
      case Type::tag:
        return "metadata.";
    }
    return {};
  }
  static constexpr std::size_t kTypes = 9;

  // The form an operator writes in `entitle_grant`; nothing else is accepted.
  static std::optional<Identifier> parse(std::string_view text);

  // As it stands in a record: what parse() does not accept is of a type
  // unknown. Null: it can be none (empty, over 1024 bytes, control bytes).
  static std::optional<Identifier> stored(std::string_view text);

  // The forms events say. Null where the value is no is_entitlement_name() of
  // at most 255 bytes, or the id no price's, plan's, product's or payment
  // link's.
  static std::optional<Identifier> from_stripe_id(const AccountId& account,
                                                  std::string_view id);
  // Of what stands where a price or plan must stand, whatever its id is:
  // `price_1`, `plan_1`, else `price=monthly8usd`.
  static std::optional<Identifier> price(const AccountId& account,
                                         std::string_view id);
  static std::optional<Identifier> lookup_key(const AccountId& account,
                                              std::string_view value);
  static std::optional<Identifier> feature(const AccountId& account,
                                           std::string_view value);
  static std::optional<Identifier> metadata(const AccountId& account,
                                            std::string_view value);

  // `metadata.KEY=VALUE`. Null where either is empty or has control bytes, the
  // key a `=`, or both together have more than kMaxTagBytes.
  static std::optional<Identifier> tag(const AccountId& account,
                                       std::string_view key,
                                       std::string_view value);
  static constexpr std::size_t kMaxTagBytes = 140;
  static constexpr std::size_t kMaxTags = 16;  // of one object

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
