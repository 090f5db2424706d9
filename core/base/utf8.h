// Whether bytes are UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing
// above U+10FFFF.
#pragma once

#include <string>
#include <string_view>

namespace entitle {

bool is_utf8(std::string_view text);

// `code` is at most U+10FFFF and no surrogate.
void append_utf8(std::string& text, char32_t code);

}  // namespace entitle
