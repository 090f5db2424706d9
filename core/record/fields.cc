#include "core/record/fields.h"

#include "core/base/decimal.h"

namespace entitle {

bool read_integer(std::string_view text, std::int64_t& number) {
  std::optional<std::int64_t> value = parse_decimal<std::int64_t>(text);
  if (value) number = *value;
  return value.has_value();
}

bool read_time(std::string_view text, std::optional<UnixTime>& time) {
  std::int64_t seconds = 0;
  if (!read_integer(text, seconds)) return false;
  time = unix_time(seconds);
  return true;
}

}  // namespace entitle
