#include "core/stripe/object.h"

#include "core/source/stripe_id.h"

namespace entitle::stripe {

std::optional<UnixTime> time(const json::Node* object, std::string_view key) {
  std::optional<std::int64_t> seconds = json::integer(object, key);
  if (!seconds || !is_time(*seconds)) return std::nullopt;
  return unix_time(*seconds);
}

std::string_view id_of(const json::Node* value) {
  if (json::is_object(value)) value = json::member(value, "id");
  if (!json::is_string(value) || !is_object_id(value->text())) return {};
  return value->text();
}

std::string_view id(const json::Node* object, std::string_view key) {
  return id_of(json::member(object, key));
}

const json::Node* list(const json::Node* object, std::string_view key) {
  const json::Node* data = json::member(json::member(object, key), "data");
  return json::is_array(data) ? data : nullptr;
}

}  // namespace entitle::stripe
