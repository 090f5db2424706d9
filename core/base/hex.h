// One hex digit, for the few small parsers that read hex.
#pragma once

namespace entitle {

// 0-15 for a hex digit of either case, else -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace entitle
