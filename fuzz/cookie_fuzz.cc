// Values are parts of the header between separators; options that are taken
// make one header line.
#include <algorithm>
#include <string>
#include <vector>

#include "core/base/ascii.h"
#include "core/base/types.h"
#include "core/http/cookie.h"
#include "fuzz/property.h"

namespace {

using Words = std::vector<std::string_view>;

Words split(std::string_view text, char separator) {
  Words words;
  while (true) {
    std::size_t end = std::min(text.find(separator), text.size());
    words.push_back(text.substr(0, end));
    if (end == text.size()) return words;
    text.remove_prefix(end + 1);
  }
}

void check_values(std::string_view header) {
  Words values;
  entitle::cookie_values(header, "a", values);
  for (std::string_view value : values) {
    PROPERTY(value.find(';') == std::string_view::npos);
    if (value.empty()) continue;
    PROPERTY(value.data() >= header.data() &&
             value.data() + value.size() <= header.data() + header.size());
  }

  // A cookie put after whatever came before is found, and found last.
  std::string longer = std::string(header) + "; a=last";
  Words more;
  entitle::cookie_values(longer, "a", more);
  PROPERTY(more.size() == values.size() + 1);
  PROPERTY(more.back() == "last");
}

void check_options(std::string_view text) {
  std::string error;
  auto options = entitle::parse_cookie_options(split(text, ' '), error);
  PROPERTY(options.has_value() == error.empty());
  if (!options) return;
  std::string line = entitle::set_cookie(*options, "x", entitle::Seconds(1));
  PROPERTY(std::none_of(line.begin(), line.end(), entitle::is_control_byte));
  PROPERTY(std::count(line.begin(), line.end(), ';') ==
           4 + options->secure + !options->domain.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_values(input);
  check_options(input);
  return 0;
}
