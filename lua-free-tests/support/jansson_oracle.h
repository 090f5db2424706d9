// What jansson makes of a text, and whether core/json/tree.h makes the same of
// it. Of neither cmocka nor the fuzzer: both use it.
#pragma once

#include <jansson.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "core/json/tree.h"

namespace entitle::test {

struct JanssonFree {
  void operator()(json_t* value) const { json_decref(value); }
};
using Jansson = std::unique_ptr<json_t, JanssonFree>;

// Null: it refuses the text.
inline Jansson by_jansson(std::string_view text) {
  return Jansson(
      json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
}

inline bool same(const json::Node* ours, json_t* theirs);

inline bool same_children(const json::Node* ours, json_t* theirs) {
  std::size_t n = 0;
  for (const json::Node* child : json::Children(ours)) {
    json_t* other =
        json_is_object(theirs)
            ? json_object_get(theirs, std::string(child->key()).c_str())
            : json_array_get(theirs, n);
    if (other == nullptr || !same(child, other)) return false;
    ++n;
  }
  return n == ours->size() &&
         n == (json_is_object(theirs) ? json_object_size(theirs)
                                      : json_array_size(theirs));
}

inline bool same(const json::Node* ours, json_t* theirs) {
  switch (json_typeof(theirs)) {
    case JSON_OBJECT:
      return json::is_object(ours) && same_children(ours, theirs);
    case JSON_ARRAY:
      return json::is_array(ours) && same_children(ours, theirs);
    case JSON_STRING:
      return json::is_string(ours) &&
             ours->text() == std::string_view(json_string_value(theirs),
                                              json_string_length(theirs));
    case JSON_INTEGER:
      return ours->type() == json::Type::integer &&
             ours->integer() == json_integer_value(theirs);
    case JSON_REAL:
      return ours->type() == json::Type::real &&
             std::strtod(std::string(ours->text()).c_str(), nullptr) ==
                 json_real_value(theirs);
    case JSON_TRUE:
    case JSON_FALSE:
      return ours->type() == json::Type::boolean &&
             ours->boolean() == json_is_true(theirs);
    case JSON_NULL:
      return json::is_null(ours);
  }
  return false;
}

}  // namespace entitle::test
