// A token of any bytes: nothing crashes, nothing but the one token whose MAC
// is right is believed, and OpenSSL's error queue stays empty.
#include <openssl/err.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/base64url.h"
#include "core/base/types.h"
#include "core/crypto/hmac.h"
#include "core/identity/jwt.h"
#include "fuzz/property.h"

namespace {

// A secret, and RFC 7515 appendix A.3's key; the fuzzer knows neither's
// private half.
constexpr std::string_view kJwks =
    R"({"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},)"
    R"({"kty":"EC","kid":"e","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";

const entitle::JwtKeys& keys() {
  static const entitle::JwtKeys read = entitle::read_jwt_keys(kJwks).keys;
  return read;
}

entitle::JwtRules rules() {
  entitle::JwtRules made;
  made.audiences = {"a"};
  made.version_claim = "sv";
  return made;
}

void verify(std::string_view token) {
  static const entitle::JwtRules kRules = rules();
  entitle::JwtVerdict verdict =
      verify_jwt(keys(), kRules, token, entitle::unix_time(1767225600));
  PROPERTY(!verdict.claims || !verdict.claims->user.str().empty());
  PROPERTY(ERR_peek_error() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (auto token = entitle::bearer_token(input)) verify(*token);
  verify(input);

  // The input as claims under a right MAC, so that what follows is reached.
  static const std::string kSecret = *entitle::base64url_decode(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcg"
      "UuTwjAzZr1Z9CAow");
  static const entitle::HmacSha256 kMac(kSecret);
  std::string token = entitle::base64url_encode(R"({"alg":"HS256"})") + '.' +
                      entitle::base64url_encode(input);
  entitle::Mac mac = kMac({token});
  token += '.';
  entitle::base64url_append(
      token, {reinterpret_cast<const char*>(mac.data()), mac.size()});
  verify(token);
  return 0;
}
