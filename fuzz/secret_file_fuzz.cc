// Either secrets that can be used, or an error that names no part of them.
#include <algorithm>
#include <string>

#include "core/crypto/secret_file.h"
#include "fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  std::string error;
  auto secrets = entitle::parse_webhook_secrets(input, error);
  PROPERTY(secrets.has_value() == error.empty());
  if (secrets) {
    PROPERTY(!secrets->empty());
    for (const std::string& secret : *secrets) {
      PROPERTY(secret.starts_with("whsec_") && secret.size() > 6);
      PROPERTY(std::all_of(secret.begin(), secret.end(),
                           [](char c) { return c > ' ' && c < 0x7f; }));
      PROPERTY(input.find(secret) != std::string_view::npos);
    }
  }

  error.clear();
  auto keys = entitle::parse_session_keys(input, error);
  PROPERTY(keys.has_value() == error.empty());
  if (keys) {
    PROPERTY(!keys->empty());
    for (const std::string& key : *keys) {
      PROPERTY(key.size() >= entitle::kMinKeyBytes);
    }
  }
  return 0;
}
