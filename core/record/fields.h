// Reading a Redis hash field by field: what records and places share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/redis/reply.h"

namespace entitle {

// The field `format` of every record and place: the greatest format that has
// written it (docs/redis.md, "Versions"). 0: before there were numbers.
inline constexpr std::int64_t kFormat = 2;

// A whole decimal number that is not negative; false leaves `number` alone.
bool read_integer(std::string_view text, std::int64_t& number);
bool read_time(std::string_view text, std::optional<UnixTime>& time);

// Calls `read(field, value)` for each pair of HGETALL's reply until it says
// false. False: it did, or the reply is no such list.
template <class Read>
bool each_field(const Reply& hgetall, Read read) {
  const std::vector<Reply>& items = hgetall.elements;
  if (!hgetall.is_array() || items.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    bool texts = items[i].type == Reply::Type::string &&
                 items[i + 1].type == Reply::Type::string;
    if (!texts || !read(items[i].text, items[i + 1].text)) return false;
  }
  return true;
}

}  // namespace entitle
