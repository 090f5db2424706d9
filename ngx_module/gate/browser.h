// entitle_guest_user: who is asking when nobody is known is the browser, by an
// id of its own in a cookie of its own (core/identity/browser_id.h).
//
// It is made when somebody is about to buy, and not before: who only looks
// gets no cookie, and there is nobody to ask Redis about. A request carries it
// in the cookie alone, never in a URL. Of two that differ none counts: one of
// them may have been planted by a neighbour below the same domain.
#pragma once

#include <optional>
#include <string>

#include "core/access/decision.h"
#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

struct Browser {
    User user;
    UnixTime issued_at;
    // The cookie is to be set anew from then on. Null: already, its key is old.
    std::optional<UnixTime> renew_at;
};

struct CarriedBrowser {
    std::optional<Browser> browser;   // null: none that is good here
    Reason why = Reason::no_session;  // then
    bool several = false;             // because there are two
};

inline bool
knows_browsers(ngx_http_request_t* r) {
    return location_conf(r)->guest != nullptr;
}

// Only where knows_browsers().
CarriedBrowser carried_browser(ngx_http_request_t* r);
// A new one; null: the request may be made by another site's page, which must
// not have it replaced.
std::optional<User> new_browser(ngx_http_request_t* r);

// Set-Cookie, issued now.
std::string browser_cookie(ngx_http_request_t* r, const User& browser);
// That clears it; empty: there is none.
std::string clear_browser_cookie(ngx_http_request_t* r);

// Whether another site's page may have made this request.
bool may_be_foreign(ngx_http_request_t* r);
// A browser sends the cookie with whatever it is led to by a link, but not with
// a form that another site's page sends: there it only seems to have none.
bool is_foreign_form(ngx_http_request_t* r);

}  // namespace entitle::ngx
