// Whatever opens is what would be made; whatever is made opens, and Stripe
// takes it.
#include <string>

#include "core/base/types.h"
#include "core/stripe/client_reference.h"
#include "fuzz/property.h"

namespace {

const std::string kRawKey(32, 'k');
constexpr std::string_view kStripesAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const entitle::ClientReference references{std::span(&kRawKey, 1)};
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  if (auto user = references.open(input)) {
    PROPERTY(references.make(*user) == input);
  }
  auto user = entitle::User::from(input);
  if (!user) return 0;
  std::string made = references.make(*user);
  if (made.empty()) {
    PROPERTY(size > 128);
    return 0;
  }
  PROPERTY(made.size() <= 200);
  PROPERTY(made.find_first_not_of(kStripesAlphabet) == std::string::npos);
  PROPERTY(entitle::ClientReference::has_our_form(made));
  PROPERTY(references.open(made) == user);
  return 0;
}
