// What an operator says, as it stands in the log of the records it changes.
#pragma once

#include <string>
#include <string_view>

#include "core/delivery/options.h"
#include "core/stripe/event.h"

namespace entitle {

struct OperatorsWord {
  std::string by;      // who said it
  std::string reason;  // why; may be empty
};

// As an event of type "operator.<what>". Its id is the time, to the
// millisecond: of two words of one second the later counts.
EventHead operators_event(std::string_view what, const OperatorsWord& word,
                          const DeliveryOptions& options);

}  // namespace entitle
