// Once a minute one worker of every node looks who paid and is not in, and says
// so in the log, with the command that tells more; and notes what the gates
// came to, by the hour.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

void watch_begin(const MainConf* conf) noexcept;

}  // namespace entitle::ngx
