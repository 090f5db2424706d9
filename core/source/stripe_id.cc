#include "core/source/stripe_id.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxBytes = 255;

}  // namespace

std::optional<AccountId> AccountId::parse(std::string_view text) {
  constexpr std::string_view prefix = "acct_";
  if (!text.starts_with(prefix) || text.size() == prefix.size() ||
      text.size() > kMaxBytes ||
      !std::all_of(text.begin(), text.end(),
                   [](char c) { return is_alphanumeric(c) || c == '_'; })) {
    return std::nullopt;
  }
  return AccountId(text);
}

std::string AccountId::qualify(std::string_view id) const {
  std::string text = text_;
  if (!text.empty()) text += '/';
  return text.append(id);
}

bool is_object_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxBytes && all_visible(text) &&
         text.find_first_of("\"\\/") == std::string_view::npos;
}

StripeId::StripeId(std::string_view text) : id_(text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return;
  account_ = text.substr(0, slash);
  id_ = text.substr(slash + 1);
}

StripeId::Kind StripeId::kind() const {
  if (id_.starts_with("ch_") || id_.starts_with("py_")) return Kind::charge;
  if (id_.starts_with("pi_")) return Kind::payment_intent;
  if (id_.starts_with("in_")) return Kind::invoice;
  if (id_.starts_with("cs_")) return Kind::checkout_session;
  if (id_.starts_with("acct_")) return Kind::customer_account;
  return Kind::customer;
}

}  // namespace entitle
