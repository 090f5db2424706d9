// A header nobody signed is never accepted; rubbish around a right signature
// changes the verdict only as the grammar says.
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/stripe/signature.h"
#include "fuzz/property.h"

namespace {

using entitle::HmacSha256;
using entitle::Seconds;
using entitle::unix_time;

constexpr std::string_view kBody = "{}";
constexpr std::int64_t kNow = 1767225600;

std::vector<HmacSha256> secrets() {
  std::vector<HmacSha256> keyed;
  keyed.emplace_back("whsec_a");
  keyed.emplace_back("whsec_b");
  return keyed;
}

std::string right_segments() {
  std::string header = "t=1767225600,v1=";
  for (std::uint8_t byte : HmacSha256("whsec_b")({"1767225600.", kBody})) {
    header += "0123456789abcdef"[byte >> 4];
    header += "0123456789abcdef"[byte & 15];
  }
  return header;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const std::vector<HmacSha256> keyed = secrets();
  static const std::string right = right_segments();
  const std::string_view input(reinterpret_cast<const char*>(data), size);

  auto verify = [&](std::string_view header) {
    return entitle::verify_signature(header, kBody, keyed, unix_time(kNow),
                                     Seconds(300));
  };
  // libFuzzer does not find HMACs.
  if (input.find(right.substr(16)) == std::string_view::npos) {
    PROPERTY(!verify(input).payload);
  }

  bool another_t_or_v1 = input.find("t=") != std::string_view::npos ||
                         input.find("v1=") != std::string_view::npos;
  if (!another_t_or_v1) {
    PROPERTY(verify(right + "," + std::string(input)).payload);
    PROPERTY(verify(std::string(input) + "," + right).payload);
  }
  return 0;
}
