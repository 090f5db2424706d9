// A key file of any bytes: nothing crashes or leaks, every key that is taken
// allows an algorithm and refuses a made-up signature, and what is refused is
// said in printable lines.
#include <openssl/err.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/identity/jwk.h"
#include "fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  std::string_view content(reinterpret_cast<const char*>(data), size);
  entitle::JwtKeyReading reading = entitle::read_jwt_keys(content);
  PROPERTY(!reading.keys.empty() || !reading.refused.empty());
  for (const std::string& line : reading.refused) {
    for (char c : line) {
      PROPERTY(c >= 0x20 && c <= 0x7e);
    }
  }
  for (const entitle::JwtKey& key : reading.keys.all()) {
    bool useful = false;
    for (int i = 0; i <= static_cast<int>(entitle::JwtAlg::EdDSA); i++) {
      auto alg = static_cast<entitle::JwtAlg>(i);
      useful |= key.allows(alg);
      PROPERTY(!key.verify(alg, "message", std::string(64, 'x')));
    }
    PROPERTY(useful);
  }
  PROPERTY(ERR_peek_error() == 0);
  return 0;
}
