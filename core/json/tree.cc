#include "core/json/tree.h"

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

}  // namespace entitle::json
