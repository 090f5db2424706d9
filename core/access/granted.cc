#include "core/access/granted.h"

#include "core/base/types.h"
#include "core/base/utf8.h"
#include "core/json/writer.h"

namespace entitle {

std::string granted_json(const Ruling& ruling, std::int64_t version) {
  std::string text;
  json::Writer granted(text);
  granted.begin_object()
      .text("decision", name(ruling.decision))
      .key("entitlements")
      .begin_array();
  for (const std::string& entitlement : ruling.entitlements) {
    if (is_utf8(entitlement)) granted.string(entitlement);
  }
  granted.end_array().number("version", version);
  if (ruling.until != kForever) granted.number("until", to_unix(ruling.until));
  granted.end_object();
  return text;
}

}  // namespace entitle
