// A source read from anything at all is written in one form, and merging it
// with itself changes nothing.
#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/source/forget.h"
#include "core/source/source.h"
#include "fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using entitle::Source;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::optional<Source> source = Source::decode(text);
  if (!source) return 0;
  std::string written = source->encode();
  std::optional<Source> again = Source::decode(written);
  PROPERTY(again.has_value());
  PROPERTY(*again == *source);
  PROPERTY(again->encode() == written);
  PROPERTY(!again->merge(*source));
  entitle::Sources sources;
  sources.emplace("x", *std::move(source));
  for (const entitle::Projection& one : entitle::project(sources)) {
    PROPERTY(one.source == "x");
  }
  entitle::forget(sources, entitle::unix_time(1767225600));
  return 0;
}
