#include "core/stripe/lost_event.h"

#include "core/json/tree.h"
#include "core/source/stripe_id.h"

namespace entitle {

// What was lost is in `data.impact`; a notification without data has nothing
// but `related_object`.
std::optional<LostEvent> lost_event(const Event& event) {
  if (!event.thin ||
      event.head.type != "v2.core.health.event_generation_failure.resolved") {
    return std::nullopt;
  }
  const json::Node* root = event.document.root();
  const json::Node* impact = json::member(json::member(root, "data"), "impact");
  for (const json::Node* from : {impact, root}) {
    const std::string_view object =
        json::string(json::member(from, "related_object"), "id");
    if (is_object_id(object)) {
      return LostEvent{std::string(object),
                       std::string(json::string(impact, "event_type"))};
    }
  }
  return std::nullopt;
}

}  // namespace entitle
