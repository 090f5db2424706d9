// Percent-encoding of ids inside the braces of a Redis key (docs/redis.md), so
// that a key is printable and its hash tag ends where it should: `{`, `}`, `%`
// and every byte outside printable ASCII (0x20-0x7e) become `%XX`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entitle {

std::string percent_encode(std::string_view bytes);

// Any `%XX`, in either case. Null where a `%` is not followed by two hex
// digits.
std::optional<std::string> percent_decode(std::string_view text);

// Appends `%XX`, upper case.
void append_percent(std::string& text, char byte);

}  // namespace entitle
