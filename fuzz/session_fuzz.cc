// The input as a token, and as the payload of a token signed with our key:
// whatever is accepted is byte for byte what signing it again gives, so there
// is one form only.
#include <string>

#include "core/base/base64url.h"
#include "core/base/types.h"
#include "core/identity/edge_session.h"
#include "fuzz/property.h"

namespace {

using entitle::HmacSha256;
using entitle::Mac;
using entitle::SessionKeys;
using entitle::unix_time;

constexpr std::string_view kAudience = "live";
constexpr std::int64_t kNow = 1767225600;
const std::string kRawKey(32, 'k');

std::string_view view(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

void check(const SessionKeys& keys, const std::string& token) {
  auto verdict =
      entitle::verify_session(keys, kAudience, token, unix_time(kNow));
  if (!verdict.session) return;
  PROPERTY(entitle::sign_session(keys, kAudience, *verdict.session) == token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const SessionKeys keys{std::span(&kRawKey, 1)};
  static const HmacSha256 key(
      view(entitle::derive_key(kRawKey, "entitle session v1")));
  const std::string input(reinterpret_cast<const char*>(data), size);
  check(keys, input);

  std::string token =
      entitle::base64url_encode(R"({"alg":"HS256","typ":"entitle+jwt"})") +
      "." + entitle::base64url_encode(input);
  std::string signature = entitle::base64url_encode(view(key({token})));
  check(keys, token + "." + signature);
  return 0;
}
