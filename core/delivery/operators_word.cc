#include "core/delivery/operators_word.h"

namespace entitle {

EventHead operators_event(std::string_view what, const OperatorsWord& word,
                          const DeliveryOptions& options) {
  EventHead head;
  head.id = "op_" + std::to_string(options.now.time_since_epoch().count());
  head.type = "operator." + std::string(what);
  head.created = seconds_of(options);
  head.by = word.by;
  head.reason = word.reason;
  return head;
}

}  // namespace entitle
