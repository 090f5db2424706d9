#include "core/source/identifier.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace entitle {
namespace {

using Type = Identifier::Type;

constexpr std::size_t kMaxBytes = 255;
constexpr std::size_t kMaxStoredBytes = 1024;

std::optional<Type> type_of(std::string_view text) {
  for (std::size_t i = 0; i < Identifier::kTypes; ++i) {
    const auto type = static_cast<Type>(i);
    if (text.starts_with(Identifier::prefix_of(type))) return type;
  }
  return std::nullopt;
}

bool names_object(Type type) {
  return type < Type::lookup_key || type == Type::plan;
}

bool names_price(Type type) {
  return type == Type::price || type == Type::plan;
}

}  // namespace

bool is_entitlement_name(std::string_view text) {
  return !text.empty() && !has_control_bytes(text) &&
         text.find(',') == std::string_view::npos;
}

std::optional<Identifier> Identifier::named(const AccountId& account, Type type,
                                            std::string_view value) {
  if (value.size() > kMaxBytes || !is_entitlement_name(value)) {
    return std::nullopt;
  }
  std::string text(prefix_of(type));
  return Identifier(account.qualify(text.append(value)));
}

std::optional<Identifier> Identifier::parse(std::string_view text) {
  AccountId account;
  std::size_t slash = text.find('/');
  if (text.starts_with("acct_") && slash != std::string_view::npos) {
    std::optional<AccountId> connected =
        AccountId::parse(text.substr(0, slash));
    if (!connected) return std::nullopt;
    account = *std::move(connected);
    text.remove_prefix(slash + 1);
  }
  std::optional<Type> type = type_of(text);
  if (!type) return std::nullopt;
  if (names_object(*type)) return from_stripe_id(account, text);
  text.remove_prefix(prefix_of(*type).size());
  // `price=price_1` is `price_1`, which is how events are read.
  if (*type == Type::named_price) return price(account, text);
  if (*type == Type::tag) {
    std::size_t end = text.find('=');
    if (end == std::string_view::npos) return std::nullopt;
    return tag(account, text.substr(0, end), text.substr(end + 1));
  }
  return named(account, *type, text);
}

std::optional<Identifier> Identifier::stored(std::string_view text) {
  if (std::optional<Identifier> known = parse(text)) return known;
  if (text.empty() || text.size() > kMaxStoredBytes ||
      has_control_bytes(text)) {
    return std::nullopt;
  }
  return Identifier(std::string(text), false);
}

// An id that could be read as `feature=...` would let whoever names a product
// choose an entitlement, so only Stripe's own alphabet passes.
std::optional<Identifier> Identifier::from_stripe_id(const AccountId& account,
                                                     std::string_view id) {
  std::optional<Type> type = type_of(id);
  bool passes = type && names_object(*type) && id.size() <= kMaxBytes &&
                id.size() > prefix_of(*type).size() &&
                std::all_of(id.begin(), id.end(), [](char c) {
                  return is_alphanumeric(c) || c == '_';
                });
  if (!passes) return std::nullopt;
  return Identifier(account.qualify(id));
}

std::optional<Identifier> Identifier::price(const AccountId& account,
                                            std::string_view id) {
  std::optional<Identifier> known = from_stripe_id(account, id);
  if (known && names_price(known->parts().type)) return known;
  return named(account, Type::named_price, id);
}

std::optional<Identifier> Identifier::lookup_key(const AccountId& account,
                                                 std::string_view value) {
  return named(account, Type::lookup_key, value);
}

std::optional<Identifier> Identifier::feature(const AccountId& account,
                                              std::string_view value) {
  return named(account, Type::feature, value);
}

std::optional<Identifier> Identifier::metadata(const AccountId& account,
                                               std::string_view value) {
  return named(account, Type::metadata, value);
}

std::optional<Identifier> Identifier::tag(const AccountId& account,
                                          std::string_view key,
                                          std::string_view value) {
  bool passes = !key.empty() && !value.empty() && !has_control_bytes(key) &&
                !has_control_bytes(value) &&
                key.find('=') == std::string_view::npos &&
                key.size() + value.size() <= kMaxTagBytes;
  if (!passes) return std::nullopt;
  std::string text(prefix_of(Type::tag));
  text.append(key).append("=").append(value);
  return Identifier(account.qualify(text));
}

Identifier::Parts Identifier::parts() const {
  if (!known_) return {{}, Type::unknown, text_};
  std::string_view text = text_;
  std::string_view account;
  if (text.starts_with("acct_")) {
    account = text.substr(0, text.find('/'));
    text.remove_prefix(account.size() + 1);
  }
  Type type = *type_of(text);  // as everything that makes one has checked
  return {account, type, text.substr(prefix_of(type).size())};
}

}  // namespace entitle
