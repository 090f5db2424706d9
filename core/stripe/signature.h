// Stripe-Signature, exactly.
// Source: https://docs.stripe.com/webhooks#verify-manually; where the official
// SDKs differ, docs/stripe.md says what happens here and why.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/crypto/hmac.h"

namespace entitle {

enum class SignatureError {
  signature_missing,
  signature_malformed,
  signature_mismatch,
  timestamp_out_of_tolerance,
};
std::string_view name(SignatureError error);

// Bytes whose signature was verified; only verify_signature makes one. Views
// the caller's body: valid as long as that is.
class VerifiedPayload {
 public:
  std::string_view bytes() const { return bytes_; }

 private:
  explicit VerifiedPayload(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
  friend struct SignatureVerdict verify_signature(
      std::optional<std::string_view>, std::string_view,
      std::span<const HmacSha256>, UnixTime, Seconds);
};

struct SignatureVerdict {
  std::optional<VerifiedPayload> payload;
  SignatureError error = SignatureError::signature_missing;  // when null
  Seconds skew{0};  // now - t, where t was read
};

// `header` is null when absent; a repeated header field is malformed: the
// caller passes its values joined by nothing but says so by not calling.
// Checks every secret against every v1 without an early exit, the MAC before
// the clock. `secrets` are keyed with the whole secret, `whsec_` included.
SignatureVerdict verify_signature(std::optional<std::string_view> header,
                                  std::string_view body,
                                  std::span<const HmacSha256> secrets,
                                  UnixTime now, Seconds tolerance);

}  // namespace entitle
