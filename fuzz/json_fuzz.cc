// core/json/tree.h accepts what jansson accepts, with the same meaning, and
// refuses what jansson refuses.
#include "core/json/tree.h"
#include "fuzz/property.h"
#include "lua-free-tests/support/jansson_oracle.h"

namespace {

using namespace entitle;
using namespace entitle::test;

constexpr std::size_t kDepth = 64;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  json::Error error;
  std::optional<json::Document> ours = json::parse(text, kDepth, error);
  PROPERTY(error.at <= size);
  // jansson overlooks a NUL after a number; no JSON has one.
  if (text.find('\0') != std::string_view::npos) {
    PROPERTY(!ours);
    return 0;
  }
  // The bound on nesting is ours alone.
  if (!ours && std::string_view(error.reason) == "nested too deep") return 0;
  const Jansson theirs = by_jansson(text);
  // What no text can be refuses nothing here.
  if (ours && !theirs && text.find("\\u") != std::string_view::npos) return 0;
  PROPERTY(ours.has_value() == (theirs != nullptr));
  if (ours) PROPERTY(same(ours->root(), theirs.get()));
  return 0;
}
