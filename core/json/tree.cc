#include "core/json/tree.h"

#include <algorithm>

namespace entitle::json {

Children::Children(const Node* node) {
  if (!is_array(node) && !is_object(node)) return;
  first_ = node + 1;
  last_ = node + node->span_;
}

bool is_object(const Node* node) {
  return node != nullptr && node->type() == Type::object;
}

bool is_array(const Node* node) {
  return node != nullptr && node->type() == Type::array;
}

bool is_string(const Node* node) {
  return node != nullptr && node->type() == Type::string;
}

bool is_null(const Node* node) {
  return node != nullptr && node->type() == Type::null;
}

const Node* member(const Node* object, std::string_view key) {
  if (!is_object(object)) return nullptr;
  for (const Node* value : Children(object)) {
    if (value->key() == key) return value;
  }
  return nullptr;
}

std::string_view string(const Node* object, std::string_view key) {
  const Node* value = member(object, key);
  return is_string(value) ? value->text() : std::string_view{};
}

std::optional<std::int64_t> integer(const Node* object, std::string_view key) {
  const Node* value = member(object, key);
  if (value == nullptr || value->type() != Type::integer) return std::nullopt;
  return value->integer();
}

std::optional<bool> boolean(const Node* object, std::string_view key) {
  const Node* value = member(object, key);
  if (value == nullptr || value->type() != Type::boolean) return std::nullopt;
  return value->boolean();
}

bool is_time(std::int64_t seconds) {
  return seconds > 0 && seconds < (std::int64_t{1} << 40);
}

std::optional<UnixTime> time(const Node* object, std::string_view key) {
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

std::string_view id_of(const Node* value) {
  if (is_object(value)) value = member(value, "id");
  if (!is_string(value) || !is_id(value->text())) return {};
  return value->text();
}

std::string_view id(const Node* object, std::string_view key) {
  return id_of(member(object, key));
}

const Node* list(const Node* object, std::string_view key) {
  const Node* data = member(member(object, key), "data");
  return is_array(data) ? data : nullptr;
}

}  // namespace entitle::json
