// Redis' replies as the client has read them, to be made in one word.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redis/reply.h"
#include "core/redis/resp.h"

namespace entitle::test {

inline Reply text(std::string_view value) {
  return {Reply::Type::string, 0, std::string(value), {}};
}

inline Reply status(std::string_view value) {
  return {Reply::Type::status, 0, std::string(value), {}};
}

inline Reply error(std::string_view value) {
  return {Reply::Type::error, 0, std::string(value), {}};
}

inline Reply number(std::int64_t value) {
  return {Reply::Type::integer, value, {}, {}};
}

inline Reply array(std::vector<Reply> elements) {
  return {Reply::Type::array, 0, {}, std::move(elements)};
}

// As it came over the wire, whole.
inline Reply wire(std::string_view bytes) {
  ReplyReader reader;
  reader.feed(bytes);
  Reply reply;
  if (reader.next(reply) != ReplyReader::Result::got) {
    throw std::runtime_error("no reply");
  }
  return reply;
}

}  // namespace entitle::test
