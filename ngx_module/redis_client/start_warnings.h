// What Redis' settings put at risk (core/redis/warnings.h), said at warn once
// for each primary after a start or reload.
//
// One worker asks, as soon as it runs, without waiting for a request: INFO, on
// a connection of its own that is closed again. Who cannot be reached or is no
// primary (yet) is silently asked again later, less and less often; who refuses
// INFO is not asked again. All timers are cancelable.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

// In a worker that has just started; others than the first do nothing.
void redis_warnings_begin(const MainConf* conf) noexcept;

}  // namespace entitle::ngx
