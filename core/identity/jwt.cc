#include "core/identity/jwt.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/ascii.h"
#include "core/base/base64url.h"
#include "core/json/document.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxDepth = 16;
// 9999-12-31T23:59:59Z: a later date is in milliseconds, or a mistake that
// would make a token last for ever.
constexpr std::int64_t kLastSecond = 253402300799;

constexpr int kMostTries = 8;  // keys a token

struct Parts {
  std::string_view header, payload, signature;
  std::string_view signed_bytes;  // header.payload
};

std::optional<Parts> split(std::string_view token) {
  if (token.size() > kMaxJwt ||
      std::count(token.begin(), token.end(), '.') != 2)
    return std::nullopt;
  std::size_t first = token.find('.');
  std::size_t second = token.find('.', first + 1);
  return Parts{token.substr(0, first),
               token.substr(first + 1, second - first - 1),
               token.substr(second + 1), token.substr(0, second)};
}

// The compact serialization of a JWE (RFC 7516 section 7.1) has five parts.
bool is_encrypted(std::string_view token) {
  return token.size() <= kMaxJwt &&
         std::count(token.begin(), token.end(), '.') == 4;
}

JsonDocument decoded_object(std::string_view part) {
  auto text = base64url_decode(part);
  JsonDocument document = text ? parse_json(*text, kMaxDepth) : nullptr;
  if (!json_is_object(document.get())) return nullptr;
  return document;
}

// Views of the header's document.
struct Header {
  std::string_view alg;
  std::optional<std::string_view> kid;
};

std::optional<JwtError> read_header(const json_t* json, Header& header) {
  const json_t* b64 = json_object_get(json, "b64");
  if (json_object_get(json, "crit") || (b64 && !json_is_true(b64))) {
    return JwtError::unsupported;
  }
  auto alg = string_of(json_object_get(json, "alg"));
  const json_t* kid = json_object_get(json, "kid");
  if (!alg || (kid && !json_is_string(kid))) return JwtError::malformed;
  header.alg = *alg;
  header.kid = string_of(kid);
  return std::nullopt;
}

std::optional<JwtError> check_signature(const JwtKeys& keys,
                                        const Header& header,
                                        const Parts& parts,
                                        std::string_view signature,
                                        bool& key_missing) {
  auto alg = jwt_alg(header.alg);
  if (!alg) return JwtError::alg_not_allowed;

  bool kid_known = false, keys_have_kids = false;
  int tries = 0;
  auto verified_by = [&](const JwtKey& key) {
    if (!key.allows(*alg) || tries == kMostTries) return false;
    ++tries;
    return key.verify(*alg, parts.signed_bytes, signature);
  };
  for (const JwtKey& key : keys.all()) {
    keys_have_kids |= key.kid().has_value();
    if (header.kid && key.kid() != header.kid) continue;
    kid_known = header.kid.has_value();
    if (verified_by(key)) return std::nullopt;
  }
  if (header.kid) {
    for (const JwtKey& key : keys.all()) {
      if (!key.kid() && verified_by(key)) return std::nullopt;
    }
  }
  key_missing = !kid_known;
  if (keys.empty() || (header.kid && !kid_known && keys_have_kids)) {
    return JwtError::unknown_key;
  }
  return tries > 0 ? JwtError::bad_signature : JwtError::alg_not_allowed;
}

// RFC 7519 section 2, NumericDate. `round` takes a fraction away on the safe
// side. False: there, but no such date; absent leaves `date` null.
bool read_date(const json_t* claims, const char* claim, double (*round)(double),
               std::optional<UnixTime>& date) {
  const json_t* value = json_object_get(claims, claim);
  if (!value) return true;
  std::int64_t seconds = json_integer_value(value);
  if (json_is_real(value)) {
    double exact = json_real_value(value);
    if (exact < 0 || exact > kLastSecond) return false;
    seconds = static_cast<std::int64_t>(round(exact));
  } else if (!json_is_integer(value)) {
    return false;
  }
  if (seconds < 0 || seconds > kLastSecond) return false;
  date = unix_time(seconds);
  return true;
}

double round_down(double seconds) { return std::floor(seconds); }
double round_up(double seconds) { return std::ceil(seconds); }

bool is_one_of(const std::vector<std::string>& allowed, const json_t* value) {
  auto text = string_of(value);
  return text &&
         std::find(allowed.begin(), allowed.end(), *text) != allowed.end();
}

std::optional<JwtError> check_issuer(const JwtRules& rules,
                                     const json_t* claims) {
  const json_t* issuer = json_object_get(claims, "iss");
  if (issuer && !json_is_string(issuer)) return JwtError::claims_malformed;
  if (rules.issuers.empty() || is_one_of(rules.issuers, issuer)) {
    return std::nullopt;
  }
  return JwtError::wrong_issuer;
}

// RFC 7519 section 4.1.3: one string or an array of strings.
std::optional<JwtError> check_audience(const JwtRules& rules,
                                       const json_t* claims) {
  const json_t* audience = json_object_get(claims, "aud");
  bool found = is_one_of(rules.audiences, audience);
  if (json_is_array(audience)) {
    std::size_t i;
    const json_t* element;
    json_array_foreach(audience, i, element) {
      if (!json_is_string(element)) return JwtError::claims_malformed;
      found |= is_one_of(rules.audiences, element);
    }
  } else if (audience && !json_is_string(audience)) {
    return JwtError::claims_malformed;
  }
  if (rules.audiences.empty() || found) return std::nullopt;
  return JwtError::wrong_audience;
}

struct Dates {
  std::optional<UnixTime> issued_at, not_before, expires_at;
};

std::optional<JwtError> check_dates(const JwtRules& rules, const json_t* claims,
                                    UnixTime now, Dates& dates) {
  if (!read_date(claims, "iat", round_down, dates.issued_at) ||
      !read_date(claims, "nbf", round_up, dates.not_before) ||
      !read_date(claims, "exp", round_down, dates.expires_at)) {
    return JwtError::claims_malformed;
  }
  if (dates.expires_at && now >= *dates.expires_at + rules.leeway) {
    return JwtError::expired;
  }
  // A token from the future would outlive every "not before" set meanwhile.
  if ((dates.not_before && now + rules.leeway < *dates.not_before) ||
      (dates.issued_at && now + rules.leeway < *dates.issued_at)) {
    return JwtError::not_yet_valid;
  }
  return std::nullopt;
}

JwtVerdict judge_claims(const JwtRules& rules, const json_t* claims,
                        UnixTime now) {
  if (auto error = check_issuer(rules, claims)) return {{}, *error};
  if (auto error = check_audience(rules, claims)) return {{}, *error};
  Dates dates;
  if (auto error = check_dates(rules, claims, now, dates)) return {{}, *error};

  const json_t* version = json_object_get(claims, rules.version_claim.c_str());
  bool versioned =
      !rules.version_claim.empty() && version && !json_is_null(version);
  std::optional<std::int64_t> count =
      versioned ? count_of(version) : std::nullopt;
  if (versioned && !count) return {{}, JwtError::claims_malformed};

  auto text = text_of(json_object_get(claims, rules.user_claim.c_str()));
  auto user = text ? User::from(*text) : std::nullopt;
  if (!user) return {{}, JwtError::no_user};

  JwtClaims verified{std::move(*user), count, dates.issued_at};
  if (dates.expires_at) {
    verified.expires_at = *dates.expires_at;
    verified.usable_until = *dates.expires_at + rules.leeway;
  }
  return {std::move(verified), {}};
}

}  // namespace

std::string_view name(JwtError error) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "malformed",      "encrypted",     "unsupported",      "alg_not_allowed",
      "unknown_key",    "bad_signature", "claims_malformed", "wrong_issuer",
      "wrong_audience", "expired",       "not_yet_valid",    "no_user"};
  return kNames[static_cast<std::size_t>(error)];
}

JwtVerdict verify_jwt(const JwtKeys& keys, const JwtRules& rules,
                      std::string_view token, UnixTime now) {
  if (is_encrypted(token)) return {{}, JwtError::encrypted};
  auto parts = split(token);
  if (!parts) return {{}, JwtError::malformed};
  JsonDocument header_json = decoded_object(parts->header);
  auto signature = base64url_decode(parts->signature);
  if (!header_json || !signature) return {{}, JwtError::malformed};

  Header header;
  if (auto error = read_header(header_json.get(), header)) return {{}, *error};
  bool key_missing = false;
  if (auto error =
          check_signature(keys, header, *parts, *signature, key_missing)) {
    return {{}, *error, key_missing};
  }
  JsonDocument claims = decoded_object(parts->payload);
  if (!claims) return {{}, JwtError::claims_malformed};
  return judge_claims(rules, claims.get(), now);
}

std::optional<std::string_view> bearer_token(std::string_view value) {
  std::string_view text = trim_ows(value);
  std::size_t blank = std::min(text.find_first_of(" \t"), text.size());
  if (equal_ignoring_case(text.substr(0, blank), "bearer")) {
    text = trim_ows(text.substr(blank));
    blank = std::min(text.find_first_of(" \t"), text.size());
  }
  if (text.empty() || blank != text.size()) return std::nullopt;
  return text;
}

}  // namespace entitle
