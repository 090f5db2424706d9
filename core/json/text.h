// Writing small JSON documents by hand: what they hold is known, so no tree is
// built first. Strings are taken as UTF-8 and passed through.
#pragma once

#include <string>
#include <string_view>

namespace entitle {

// Appends `text` as a JSON string, quotes included (RFC 8259 section 7).
void append_json_string(std::string& out, std::string_view text);

// Appends `["a","b"]`; `range` holds what can be seen as string_view through
// `view`.
template <class Range, class View>
void append_json_strings(std::string& out, const Range& range, View view) {
  out += '[';
  bool first = true;
  for (const auto& item : range) {
    if (!first) out += ',';
    first = false;
    append_json_string(out, view(item));
  }
  out += ']';
}

}  // namespace entitle
