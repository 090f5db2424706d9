// What is known here, without asking anybody.
#pragma once

#include "core/report/status.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// All but what Redis knows.
Status status_here(const MainConf* conf);

}  // namespace entitle::ngx
