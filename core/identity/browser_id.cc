#include "core/identity/browser_id.h"

#include <openssl/crypto.h>

#include <stdexcept>

#include "core/base/base64url.h"
#include "core/base/decimal.h"

namespace entitle {
namespace {

constexpr std::string_view kUser = "guest:";
constexpr std::string_view kForm = "1.";
constexpr std::size_t kIdLength = base64url_length(sizeof(BrowserBytes));
constexpr std::size_t kMacLength = base64url_length(sizeof(Mac));

// More than seconds ever have.
constexpr std::size_t kMaxToken = 2 + kIdLength + 1 + 20 + 1 + kMacLength;

std::string_view view(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

bool is_id(std::string_view text) {
  std::array<char, sizeof(BrowserBytes)> bytes;
  return text.size() == kIdLength &&
         base64url_decode(text, std::span<char>(bytes)) == bytes.size();
}

// The audience is ended by a byte that no token has.
Mac mac_of(const HmacSha256& key, std::string_view audience,
           std::string_view message) {
  constexpr std::string_view kEnd("\0", 1);
  return key({audience, kEnd, message});
}

// 0: none of them.
std::size_t verifying_key(const BrowserKeys& keys, std::string_view audience,
                          std::string_view message, const Mac& claimed) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < keys.all().size(); i++) {
    const Mac mac = mac_of(keys.all()[i], audience, message);
    if (equal_constant_time(mac, claimed) && found == 0) found = i + 1;
  }
  return found;
}

}  // namespace

BrowserKeys::BrowserKeys(std::span<const std::string> raw_keys) {
  if (raw_keys.empty()) throw std::invalid_argument("no session key");
  for (const std::string& raw : raw_keys) {
    Mac key = derive_key(raw, "entitle browser id v1");
    keys_.emplace_back(view(key));
    OPENSSL_cleanse(key.data(), key.size());
  }
}

User browser_user(const BrowserBytes& random) {
  std::string text(kUser);
  base64url_append(
      text, {reinterpret_cast<const char*>(random.data()), random.size()});
  return *User::from(text);
}

bool is_browser_user(const User& user) {
  const std::string_view text = user.str();
  return text.starts_with(kUser) && is_id(text.substr(kUser.size()));
}

std::string sign_browser_id(const BrowserKeys& keys, std::string_view audience,
                            const User& user, UnixTime issued_at) {
  std::string token(kForm);
  token += std::string_view(user.str()).substr(kUser.size());
  token += '.';
  token += std::to_string(to_unix(issued_at));
  const Mac mac = mac_of(keys.all().front(), audience, token);
  token += '.';
  base64url_append(token, view(mac));
  return token;
}

BrowserVerdict verify_browser_id(const BrowserKeys& keys,
                                 std::string_view audience,
                                 std::string_view token, Seconds lifetime,
                                 UnixTime now) {
  BrowserVerdict malformed{std::nullopt, SessionError::malformed};
  if (token.size() > kMaxToken || !token.starts_with(kForm) ||
      token.size() < kForm.size() + kIdLength + 2 + 1 + kMacLength) {
    return malformed;
  }
  const std::size_t dot = token.size() - kMacLength - 1;
  const std::string_view message = token.substr(0, dot);
  Mac claimed;
  if (token[dot] != '.' ||
      base64url_decode(token.substr(dot + 1),
                       std::span(reinterpret_cast<char*>(claimed.data()),
                                 claimed.size())) != claimed.size()) {
    return malformed;
  }
  const std::size_t by = verifying_key(keys, audience, message, claimed);
  if (by == 0) return {std::nullopt, SessionError::bad_signature};

  std::string_view rest = message.substr(kForm.size());
  const std::string_view id = rest.substr(0, kIdLength);
  rest.remove_prefix(kIdLength);
  if (!is_id(id) || !rest.starts_with('.')) return malformed;
  const auto issued = parse_canonical_decimal<std::int64_t>(rest.substr(1));
  if (rest.size() == 1 || !issued || !is_time(*issued)) return malformed;

  const UnixTime issued_at = unix_time(*issued);
  if (issued_at + lifetime <= now) {
    return {std::nullopt, SessionError::expired};
  }
  if (issued_at > now + kSessionClockSkew) {
    return {std::nullopt, SessionError::not_yet_valid};
  }
  return {BrowserId{*User::from(std::string(kUser).append(id)), issued_at,
                    by == 1}};
}

}  // namespace entitle
