// entitle_logout.
#pragma once

#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// Whatever the response is, it clears our cookie.
bool is_logged_out(ngx_http_request_t* r);
// It says that nobody is logged out by such a request.
bool logout_refused(ngx_http_request_t* r);

}  // namespace entitle::ngx
