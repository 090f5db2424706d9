#include "core/delivery/options.h"

namespace entitle {

UnixTime seconds_of(const DeliveryOptions& options) {
  return std::chrono::floor<Seconds>(options.now);
}

}  // namespace entitle
