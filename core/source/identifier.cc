#include "core/source/identifier.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"

namespace entitle {

namespace {

constexpr std::size_t kMaxBytes = 255;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
         (c >= 'a' && c <= 'z');
}

bool is_account(std::string_view text) {
  constexpr std::string_view prefix = "acct_";
  if (!text.starts_with(prefix) || text.size() > kMaxBytes) return false;
  text.remove_prefix(prefix.size());
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), is_alphanumeric);
}

// An id that could be read as `feature=...` would let whoever names a product
// choose an entitlement, so only Stripe's own alphabet passes.
bool is_stripe_id(std::string_view text) {
  constexpr std::array<std::string_view, 3> prefixes = {"price_", "prod_",
                                                        "plink_"};
  if (text.size() > kMaxBytes) return false;
  for (std::string_view prefix : prefixes) {
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size());
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return is_alphanumeric(c) || c == '_';
    });
  }
  return false;
}

bool is_value(std::string_view text) {
  return !text.empty() && text.size() <= kMaxBytes &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return is_control_byte(c) || c == ','; });
}

// Null where `account` is no account; else `acct_.../`, or nothing.
std::optional<std::string> qualifier(std::string_view account) {
  if (account.empty()) return std::string();
  if (!is_account(account)) return std::nullopt;
  return std::string(account) + '/';
}

std::optional<std::string> typed(std::string_view account,
                                 std::string_view type,
                                 std::string_view value) {
  std::optional<std::string> text = qualifier(account);
  if (!text || !is_value(value)) return std::nullopt;
  text->append(type).append(value);
  return text;
}

}  // namespace

std::optional<Identifier> Identifier::parse(std::string_view text) {
  std::string_view account;
  std::size_t slash = text.find('/');
  if (text.starts_with("acct_") && slash != std::string_view::npos) {
    account = text.substr(0, slash);
    text.remove_prefix(slash + 1);
  }

  std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return from_stripe_id(account, text);

  std::string_view type = text.substr(0, equals);
  std::string_view value = text.substr(equals + 1);
  if (type == "lookup_key") return lookup_key(account, value);
  if (type == "feature") return feature(account, value);
  if (type == "metadata") return metadata(account, value);
  return std::nullopt;
}

std::optional<Identifier> Identifier::from_stripe_id(std::string_view account,
                                                     std::string_view id) {
  std::optional<std::string> text = qualifier(account);
  if (!text || !is_stripe_id(id)) return std::nullopt;
  return Identifier(text->append(id));
}

std::optional<Identifier> Identifier::lookup_key(std::string_view account,
                                                 std::string_view value) {
  std::optional<std::string> text = typed(account, "lookup_key=", value);
  if (!text) return std::nullopt;
  return Identifier(*std::move(text));
}

std::optional<Identifier> Identifier::feature(std::string_view account,
                                              std::string_view value) {
  std::optional<std::string> text = typed(account, "feature=", value);
  if (!text) return std::nullopt;
  return Identifier(*std::move(text));
}

std::optional<Identifier> Identifier::metadata(std::string_view account,
                                               std::string_view value) {
  std::optional<std::string> text = typed(account, "metadata=", value);
  if (!text) return std::nullopt;
  return Identifier(*std::move(text));
}

}  // namespace entitle
