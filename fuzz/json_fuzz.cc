// core/json/tree.h accepts what jansson accepts, with the same meaning, and
// refuses what jansson refuses.
#include <jansson.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "core/json/tree.h"
#include "fuzz/property.h"

namespace {

using namespace entitle;

constexpr std::size_t kDepth = 64;

struct Free {
  void operator()(json_t* value) const { json_decref(value); }
};

bool same(const json::Node* ours, json_t* theirs);

bool same_children(const json::Node* ours, json_t* theirs) {
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

bool same(const json::Node* ours, json_t* theirs) {
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  json::Error error;
  std::optional<json::Document> ours = json::parse(text, kDepth, error);
  PROPERTY(error.at <= size);
  // jansson overlooks a NUL after a number; no JSON has one.
  if (text.find('\0') != std::string_view::npos) {
    PROPERTY(!ours);
    return 0;
  }
  // The bound on nesting is ours alone.
  if (!ours && std::string_view(error.reason) == "nested too deep") return 0;
  std::unique_ptr<json_t, Free> theirs(
      json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
  PROPERTY(ours.has_value() == (theirs != nullptr));
  if (ours) PROPERTY(same(ours->root(), theirs.get()));
  return 0;
}
