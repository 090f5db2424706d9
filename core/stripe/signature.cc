#include "core/stripe/signature.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/ascii.h"
#include "core/base/decimal.h"
#include "core/base/hex.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxSignatures = 16;  // v1 entries in one header
constexpr std::size_t kMaxTimestampDigits = 12;

struct ParsedHeader {
  std::string_view timestamp;  // as sent: these digits are what is signed
  UnixTime time;
  std::array<Mac, kMaxSignatures> signatures;
  std::size_t count = 0;  // of signatures that are 32 bytes of hex
};

bool parse_timestamp(std::string_view digits, UnixTime& time) {
  auto seconds = parse_canonical_decimal<std::int64_t>(digits);
  if (!seconds || *seconds == 0 || digits.size() > kMaxTimestampDigits) {
    return false;
  }
  time = unix_time(*seconds);
  return true;
}

bool parse_hex(std::string_view hex, Mac& mac) {
  if (hex.size() != 2 * mac.size()) return false;
  for (std::size_t i = 0; i < mac.size(); i++) {
    int high = hex_value(hex[2 * i]);
    int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    mac[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

// False: not our grammar. Segments that are neither `t` nor `v1` are ignored,
// whatever they look like, so that Stripe may add schemes.
bool parse_header(std::string_view header, ParsedHeader& parsed) {
  std::size_t timestamps = 0;
  std::size_t v1 = 0;
  for (std::size_t at = 0; at <= header.size();) {
    std::size_t comma = std::min(header.find(',', at), header.size());
    std::string_view segment = trim_ows(header.substr(at, comma - at));
    at = comma + 1;

    if (segment.starts_with("t=")) {
      timestamps++;
      parsed.timestamp = segment.substr(2);
    } else if (segment.starts_with("v1=")) {
      if (++v1 > kMaxSignatures) return false;
      if (parse_hex(segment.substr(3), parsed.signatures[parsed.count])) {
        parsed.count++;
      }
    }
  }
  return timestamps == 1 && v1 > 0 &&
         parse_timestamp(parsed.timestamp, parsed.time);
}

}  // namespace

std::string_view name(SignatureError error) {
  switch (error) {
    case SignatureError::signature_missing:
      return "signature_missing";
    case SignatureError::signature_malformed:
      return "signature_malformed";
    case SignatureError::signature_mismatch:
      return "signature_mismatch";
    case SignatureError::timestamp_out_of_tolerance:
      return "timestamp_out_of_tolerance";
  }
  return "signature_malformed";
}

SignatureVerdict verify_signature(std::optional<std::string_view> header,
                                  std::string_view body,
                                  std::span<const HmacSha256> secrets,
                                  UnixTime now, Seconds tolerance) {
  if (!header) return {std::nullopt, SignatureError::signature_missing};

  ParsedHeader parsed;
  if (!parse_header(*header, parsed)) {
    return {std::nullopt, SignatureError::signature_malformed};
  }
  Seconds skew = now - parsed.time;

  bool matches = false;
  for (const HmacSha256& secret : secrets) {
    Mac mac = secret({parsed.timestamp, ".", body});
    for (std::size_t i = 0; i < parsed.count; i++) {
      matches |= equal_constant_time(mac, parsed.signatures[i]);
    }
  }
  if (!matches) {
    return {std::nullopt, SignatureError::signature_mismatch, skew};
  }
  if (skew > tolerance || skew < -tolerance) {
    return {std::nullopt, SignatureError::timestamp_out_of_tolerance, skew};
  }
  return {VerifiedPayload(body), SignatureError::signature_missing, skew};
}

}  // namespace entitle
