#include "core/stripe/client_reference.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/base/ascii.h"
#include "core/base/base64url.h"

namespace entitle {
namespace {

constexpr std::string_view kPlain = "ent1-";
constexpr std::string_view kEncoded = "ent1b-";
constexpr std::size_t kMaxLength = 200;
constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kMacLength = base64url_length(kMacBytes);

bool in_stripes_alphabet(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_';
  });
}

}  // namespace

ClientReference::ClientReference(std::span<const std::string> raw_keys) {
  if (raw_keys.empty()) throw std::invalid_argument("no session key");
  for (const std::string& raw : raw_keys) {
    Mac key = derive_key(raw, "entitle client reference v1");
    keys_.emplace_back(std::string_view(
        reinterpret_cast<const char*>(key.data()), key.size()));
    OPENSSL_cleanse(key.data(), key.size());
  }
}

std::string ClientReference::make(const User& user) const {
  bool plain = in_stripes_alphabet(user.str());
  std::string_view form = plain ? kPlain : kEncoded;
  std::string text = plain ? user.str() : base64url_encode(user.str());
  if (form.size() + kMacLength + 1 + text.size() > kMaxLength) return {};

  Mac mac = keys_.front()({form, text});
  std::string reference(form);
  base64url_append(reference,
                   {reinterpret_cast<const char*>(mac.data()), kMacBytes});
  reference += '-';
  reference += text;
  return reference;
}

std::optional<User> ClientReference::open(std::string_view reference) const {
  if (!has_our_form(reference) || reference.size() > kMaxLength) {
    return std::nullopt;
  }
  bool plain = reference.starts_with(kPlain);
  std::string_view form = plain ? kPlain : kEncoded;
  std::string_view rest = reference.substr(form.size());
  std::array<char, kMacBytes> claimed;
  if (rest.size() <= kMacLength + 1 || rest[kMacLength] != '-' ||
      !base64url_decode(rest.substr(0, kMacLength), std::span<char>(claimed))) {
    return std::nullopt;
  }
  std::string_view text = rest.substr(kMacLength + 1);

  bool authentic = false;
  for (const HmacSha256& key : keys_) {
    Mac mac = key({form, text});
    authentic |= CRYPTO_memcmp(mac.data(), claimed.data(), claimed.size()) == 0;
  }
  if (!authentic) return std::nullopt;
  if (plain) return User::from(text);
  std::optional<std::string> decoded = base64url_decode(text);
  return decoded ? User::from(*decoded) : std::nullopt;
}

bool ClientReference::has_our_form(std::string_view reference) {
  return reference.starts_with(kPlain) || reference.starts_with(kEncoded);
}

}  // namespace entitle
