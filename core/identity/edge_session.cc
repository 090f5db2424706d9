#include "core/identity/edge_session.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/base/ascii.h"
#include "core/base/base64url.h"
#include "core/base/decimal.h"
#include "core/base/utf8.h"
#include "core/json/writer.h"

namespace entitle {
namespace {

// {"alg":"HS256","typ":"entitle+jwt"} and the dot after it.
constexpr std::string_view kHeader =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6ImVudGl0bGUrand0In0.";
constexpr std::size_t kSignatureLength = base64url_length(sizeof(Mac));
constexpr std::size_t kBindingBytes = 16;
using Binding = std::array<char, kBindingBytes>;

std::string_view view(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

std::vector<HmacSha256> derived(std::span<const std::string> raw_keys,
                                std::string_view use) {
  std::vector<HmacSha256> keys;
  for (const std::string& raw : raw_keys) {
    Mac key = derive_key(raw, use);
    keys.emplace_back(view(key));
    OPENSSL_cleanse(key.data(), key.size());
  }
  return keys;
}

// Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
std::string framed(std::span<const std::string_view> values) {
  std::size_t size = 0;
  for (std::string_view value : values) size += 8 + value.size();
  std::string message;
  message.reserve(size);
  for (std::string_view value : values) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      message += static_cast<char>(std::uint64_t{value.size()} >> shift & 0xff);
    }
    message.append(value);
  }
  return message;
}

std::string framed(std::span<const BoundTo> all) {
  std::vector<std::string_view> words;
  words.reserve(3 * all.size());
  for (const BoundTo& to : all) {
    words.insert(words.end(), {to.kind, to.name, to.value});
  }
  return framed(words);
}

bool parse_binding(std::string_view text, Binding& binding) {
  return base64url_decode(text, std::span<char>(binding)) == kBindingBytes;
}

bool is_binding(std::string_view text) {
  Binding unused;
  return text.empty() || parse_binding(text, unused);
}

// --- the canonical payload, read ---

class PayloadReader {
 public:
  explicit PayloadReader(std::string_view json) : rest_(json) {}

  bool literal(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // The bytes of a string up to and including its closing quote, unescaped
  // into `text`, of which `size` bytes are used.
  bool string(std::span<char> text, std::size_t& size) {
    size = 0;
    // Hardly ever is anything escaped.
    std::size_t end = std::min(rest_.find('"'), text.size() + 1);
    std::string_view plain = rest_.substr(0, end);
    if (end <= text.size() && plain.find('\\') == std::string_view::npos) {
      std::copy(plain.begin(), plain.end(), text.begin());
      size = end;
      rest_.remove_prefix(end + 1);
      return true;
    }
    for (std::size_t i = 0; i < rest_.size(); i++) {
      char c = rest_[i];
      if (c == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (c == '\\') {
        if (++i == rest_.size()) return false;
        c = rest_[i];
        if (c != '"' && c != '\\') return false;
      }
      if (size == text.size()) return false;
      text[size++] = c;
    }
    return false;
  }

  bool number(std::int64_t& number) {
    auto parsed = parse_canonical_decimal<std::int64_t>(take_digits(rest_));
    if (!parsed) return false;
    number = *parsed;
    return true;
  }

  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

SessionVerdict read_payload(std::string_view json, std::string_view audience,
                            UnixTime now) {
  SessionVerdict malformed{std::nullopt, SessionError::malformed};
  std::array<char, kMaxSessionBytes> aud;
  std::array<char, 255> sub;  // a User's longest
  std::array<char, base64url_length(kBindingBytes)> bnd;
  std::size_t aud_size = 0, sub_size = 0, bnd_size = 0;
  std::int64_t version = 0, issued_at = 0, expires_at = 0;

  PayloadReader reader(json);
  bool canonical =
      reader.literal(R"({"aud":")") && reader.string(aud, aud_size) &&
      reader.literal(R"(,"sub":")") && reader.string(sub, sub_size) &&
      reader.literal(R"(,"sv":)") && reader.number(version) &&
      reader.literal(R"(,"iat":)") && reader.number(issued_at) &&
      reader.literal(R"(,"exp":)") && reader.number(expires_at) &&
      reader.literal(R"(,"bnd":")") && reader.string(bnd, bnd_size) &&
      reader.literal("}") && reader.at_end();
  std::string_view binding(bnd.data(), bnd_size);
  if (!canonical || !is_binding(binding)) return malformed;

  std::optional<User> user = User::from({sub.data(), sub_size});
  if (!user || !is_utf8(user->str())) return malformed;
  if (std::string_view(aud.data(), aud_size) != audience) {
    return {std::nullopt, SessionError::wrong_audience};
  }
  if (unix_time(expires_at) <= now) {
    return {std::nullopt, SessionError::expired};
  }
  if (unix_time(issued_at) > now + kSessionClockSkew) {
    return {std::nullopt, SessionError::not_yet_valid};
  }
  return {Session{*std::move(user), version, unix_time(issued_at),
                  unix_time(expires_at), std::string(binding)}};
}

}  // namespace

SessionKeys::SessionKeys(std::span<const std::string> raw_keys)
    : session_(derived(raw_keys, "entitle session v1")),
      bind_(derived(raw_keys, "entitle session binding v2")) {
  if (raw_keys.empty()) throw std::invalid_argument("no session key");
}

std::string session_audience(std::string_view space,
                             std::span<const std::string_view> parts) {
  static const HmacSha256 digest("entitle session audience v1");
  const Mac mac = digest({framed(parts)});
  std::string audience(space);
  audience += '#';
  base64url_append(audience, view(mac).substr(0, kBindingBytes));
  return audience;
}

std::string bind(const SessionKeys& keys, std::span<const BoundTo> to) {
  if (to.empty()) return {};
  Mac mac = keys.bind()({framed(to)});
  return base64url_encode(view(mac).substr(0, kBindingBytes));
}

bool bind_matches(const SessionKeys& keys, std::string_view binding,
                  std::span<const BoundTo> to) {
  if (to.empty()) return binding.empty();
  Binding claimed;
  if (!parse_binding(binding, claimed)) return false;
  const std::string message = framed(to);
  bool matches = false;
  for (const HmacSha256& key : keys.binds()) {
    Mac mac = key({message});
    matches |= CRYPTO_memcmp(mac.data(), claimed.data(), claimed.size()) == 0;
  }
  return matches;
}

std::string sign_session(const SessionKeys& keys, std::string_view audience,
                         const Session& session) {
  std::int64_t issued_at = to_unix(session.issued_at);
  std::int64_t expires_at = to_unix(session.expires_at);
  if (!is_utf8(session.user.str()) || !is_utf8(audience) ||
      has_control_bytes(audience) || session.version < 0 || issued_at < 0 ||
      expires_at < 0 || !is_binding(session.binding)) {
    return {};
  }

  std::string json;
  json.reserve(2 * (audience.size() + session.user.str().size()) + 160);
  // Without control bytes the writer escapes `"` and `\` alone.
  json::Writer(json)
      .begin_object()
      .text("aud", audience)
      .text("sub", session.user.str())
      .number("sv", session.version)
      .number("iat", issued_at)
      .number("exp", expires_at)
      .text("bnd", session.binding)
      .end_object();

  std::string token;
  token.reserve(kHeader.size() + base64url_length(json.size()) + 1 +
                kSignatureLength);
  token += kHeader;
  base64url_append(token, json);
  Mac mac = keys.session().front()({token});
  token += '.';
  base64url_append(token, view(mac));
  if (token.size() > kMaxSessionBytes) return {};
  return token;
}

SessionVerdict verify_session(const SessionKeys& keys,
                              std::string_view audience, std::string_view token,
                              UnixTime now) {
  SessionVerdict malformed{std::nullopt, SessionError::malformed};
  if (token.size() > kMaxSessionBytes ||
      token.size() <= kHeader.size() + 1 + kSignatureLength ||
      !token.starts_with(kHeader)) {
    return malformed;
  }
  std::size_t dot = token.size() - kSignatureLength - 1;
  std::string_view payload = token.substr(kHeader.size(), dot - kHeader.size());
  Mac claimed;
  if (token[dot] != '.' ||
      !base64url_decode(
          token.substr(dot + 1),
          std::span(reinterpret_cast<char*>(claimed.data()), claimed.size()))) {
    return malformed;
  }

  bool authentic = false;
  for (const HmacSha256& key : keys.session()) {
    authentic |= equal_constant_time(key({token.substr(0, dot)}), claimed);
  }
  if (!authentic) return {std::nullopt, SessionError::bad_signature};

  std::array<char, kMaxSessionBytes> json;
  std::optional<std::size_t> size =
      base64url_decode(payload, std::span<char>(json));
  if (!size) return malformed;
  return read_payload({json.data(), *size}, audience, now);
}

}  // namespace entitle
