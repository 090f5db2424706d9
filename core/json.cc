#include "core/json.h"

#include <algorithm>

namespace entitle::json {

const json_t* member(const json_t* object, const char* key) {
  return json_object_get(object, key);
}

std::string_view string(const json_t* object, const char* key) {
  const json_t* value = member(object, key);
  if (!json_is_string(value)) return {};
  return {json_string_value(value), json_string_length(value)};
}

std::optional<std::int64_t> integer(const json_t* object, const char* key) {
  const json_t* value = member(object, key);
  if (!json_is_integer(value)) return std::nullopt;
  return json_integer_value(value);
}

std::optional<bool> boolean(const json_t* object, const char* key) {
  const json_t* value = member(object, key);
  if (!json_is_boolean(value)) return std::nullopt;
  return json_is_true(value);
}

bool is_time(std::int64_t seconds) {
  return seconds > 0 && seconds < (std::int64_t{1} << 40);
}

std::optional<UnixTime> time(const json_t* object, const char* key) {
  std::optional<std::int64_t> seconds = integer(object, key);
  if (!seconds || !is_time(*seconds)) return std::nullopt;
  return unix_time(*seconds);
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '/';
         });
}

std::string_view id_of(const json_t* value) {
  if (json_is_object(value)) value = member(value, "id");
  if (!json_is_string(value)) return {};
  std::string_view text{json_string_value(value), json_string_length(value)};
  return is_id(text) ? text : std::string_view{};
}

std::string_view id(const json_t* object, const char* key) {
  return id_of(member(object, key));
}

const json_t* list(const json_t* object, const char* key) {
  const json_t* data = member(member(object, key), "data");
  return json_is_array(data) ? data : nullptr;
}

}  // namespace entitle::json
