// Safe as a query argument's value, and safe to redirect to once decoded.
#include <string>

#include "core/base/ascii.h"
#include "core/base/percent.h"
#include "core/http/return_url.h"
#include "fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string url = entitle::return_url(input);
  PROPERTY(url.size() <= entitle::kMaxReturnUrl);
  PROPERTY(url.find_first_not_of(
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-._~/%") == std::string::npos);

  auto decoded = entitle::percent_decode(url);
  PROPERTY(decoded && decoded->starts_with('/'));
  char second = decoded->size() > 1 ? (*decoded)[1] : 'x';
  PROPERTY(second != '/' && second != '\\' && second != ' ');
  for (char c : *decoded) PROPERTY(!entitle::is_control_byte(c));
  return 0;
}
