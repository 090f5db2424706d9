// entitle_logout.
#pragma once

#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

// Whatever the response is, it clears our cookie.
bool is_logged_out(ngx_http_request_t* r);
// And the browser's id. Not where another site's page asks, and not where it
// may hold what a user bought who has just logged in: that would be lost.
bool forgets_browser(ngx_http_request_t* r);
// It says that nobody is logged out by such a request.
bool logout_refused(ngx_http_request_t* r);

}  // namespace entitle::ngx
