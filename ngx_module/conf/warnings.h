// What nginx accepts and nobody can want: said when the configuration is read.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

// Once all is merged.
void warn_of_servers(ngx_conf_t* cf) noexcept;

}  // namespace entitle::ngx
