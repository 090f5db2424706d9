// The worker's Redis client.
#pragma once

#include "ngx_module/ngx_http_entitle.h"

namespace entitle::ngx {

// Closes every connection: the worker exits.
void redis_exit(MainConf* conf) noexcept;

}  // namespace entitle::ngx
