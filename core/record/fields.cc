#include "core/record/fields.h"

#include <charconv>

namespace entitle {

bool read_integer(std::string_view text, std::int64_t& number) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) return false;
  number = value;
  return true;
}

bool read_time(std::string_view text, std::optional<UnixTime>& time) {
  std::int64_t seconds = 0;
  if (!read_integer(text, seconds)) return false;
  time = unix_time(seconds);
  return true;
}

}  // namespace entitle
