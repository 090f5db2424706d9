#include "core/access/granted.h"

#include <jansson.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include "core/base/types.h"

namespace entitle {
namespace {

struct Decref {
  void operator()(json_t* json) const { json_decref(json); }
};
struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

std::string granted_json(const Ruling& ruling, std::int64_t version) {
  const std::unique_ptr<json_t, Decref> root(json_object());
  const std::string_view decision = name(ruling.decision);
  json_object_set_new(root.get(), "decision",
                      json_stringn(decision.data(), decision.size()));
  json_t* held = json_array();
  for (const std::string& entitlement : ruling.entitlements) {
    json_array_append_new(held,
                          json_stringn(entitlement.data(), entitlement.size()));
  }
  json_object_set_new(root.get(), "entitlements", held);
  json_object_set_new(root.get(), "version", json_integer(version));
  if (ruling.until != kForever) {
    json_object_set_new(root.get(), "until",
                        json_integer(to_unix(ruling.until)));
  }
  const std::unique_ptr<char, Free> text(
      json_dumps(root.get(), JSON_COMPACT | JSON_ENSURE_ASCII));
  if (text == nullptr) throw std::bad_alloc();
  return text.get();
}

}  // namespace entitle
